//! The document that the scripts fill, and its content for browsers without scripts.

use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use stockade_search_sync::{FieldValue, Hit, SearchPage};

use super::super::Faults;
use super::assets::{ASSETS, VERSION};

/// The metadata of a page, for example for search results or chats.
pub(super) struct Head<'a> {
    pub(super) title: &'a str,
    pub(super) description: &'a str,
}

pub(super) struct Shell<'a> {
    pub(super) faults: Option<Faults>,
    pub(super) head: Head<'a>,
}

impl Shell<'_> {
    /// The whole document, with the content for browsers without scripts.
    pub(super) fn with(&self, plain: &Markup) -> Markup {
        let faults = match self.faults {
            Some(Faults::Allowed) => "allowed",
            Some(Faults::Refused) => "refused",
            None => "none",
        };
        html! {
            (DOCTYPE)
            html lang="en" data-faults=(faults) {
                (self.head())
                body {
                    a.skip href="#main" { "Skip to the products" }
                    (header())
                    main #main tabindex="-1" {
                        noscript { (plain) }
                    }
                    (footer())
                    div #notices role="status" aria-live="polite" aria-atomic="true" {}
                    p #said .unseen role="status" aria-live="polite" {}
                }
            }
        }
    }

    fn head(&self) -> Markup {
        let scripts = ASSETS.iter().filter(|asset| asset.name.ends_with(".js"));
        html! {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="description" content=(self.head.description);
                meta property="og:title" content=(self.head.title);
                meta property="og:description" content=(self.head.description);
                title { (self.head.title) }
                link rel="icon" type="image/svg+xml" href=(asset("icon.svg"));
                link rel="preload" as="font" type="font/woff2" crossorigin
                    href=(asset("figtree.woff2"));
                link rel="stylesheet" href=(asset("page.css"));
                @for script in scripts {
                    link rel="modulepreload" href=(asset(script.name));
                }
                script type="module" src=(asset("main.js")) {}
            }
        }
    }
}

fn asset(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

fn header() -> Markup {
    html! {
        header.top {
            a.brand href="/" aria-label="Stockade General Store: all products" {
                img src=(asset("icon.svg")) alt="" width="32" height="32";
                span.brand-name { "Stockade" span.brand-kind { "General Store" } }
            }
            form.search #search role="search" action="/" method="get" {
                label.unseen for="q" { "Search the shop" }
                input #q type="search" name="q" placeholder="Search 4K television, merino tee, fern…"
                    autocomplete="off" autocapitalize="off" spellcheck="false" enterkeyhint="search"
                    maxlength="200";
            }
            div #tray-opener {}
        }
    }
}

fn footer() -> Markup {
    html! {
        footer.bottom {
            p {
                "A demonstration shop on the "
                strong { "stockade" }
                " crates. Nothing here is sold."
            }
            nav aria-label="For developers" {
                a href="/docs/" { "API" }
                a href="/metrics" { "Metrics" }
                a href="/healthz" { "Health" }
                span #hood-opener {}
            }
        }
    }
}

/// Products without scripts: a list of links.
pub(super) fn hits(text: &str, page: Option<&SearchPage>) -> Markup {
    let hits = page.map_or(&[][..], |page| &page.hits);
    html! {
        div.plain {
            p.plain-note {
                "Live stock and reserving need JavaScript. Searching works without: write above, \
                 and press Enter."
            }
            h1 {
                @if text.is_empty() { "Products" } @else { "Products for “" (text) "”" }
            }
            @if hits.is_empty() {
                p { "Nothing was found. " a href="/" { "See all products" } }
            }
            ul {
                @for hit in hits {
                    li {
                        a href={ "/p/" (first(hit, "slug").unwrap_or(&hit.key)) } {
                            (first(hit, "title").unwrap_or(&hit.key))
                        }
                    }
                }
            }
        }
    }
}

fn first<'a>(hit: &'a Hit, field: &str) -> Option<&'a str> {
    match hit.view.fields.get(field)?.first()? {
        FieldValue::Text(text) => Some(text),
        FieldValue::Number(_) => None,
    }
}

/// What is shown of a product: some members of the body of `GET /products/{id}`.
#[derive(Deserialize)]
pub(super) struct Product {
    pub(super) title: String,
    pub(super) description: String,
    brand: Option<String>,
    variants: Vec<Variant>,
}

#[derive(Deserialize)]
struct Variant {
    sku: String,
    name: Option<String>,
    availability: Availability,
}

#[derive(Deserialize)]
struct Availability {
    state: String,
    available: Option<u64>,
}

/// A product for browsers without scripts: its content, and the stock at the time of the request.
pub(super) fn product(product: &Product) -> Markup {
    html! {
        div.plain {
            p.plain-note { "Live stock and reserving need JavaScript." }
            h1 { (product.title) }
            @if let Some(brand) = &product.brand { p { (brand) } }
            p { (product.description) }
            table {
                thead { tr { th scope="col" { "Variant" } th scope="col" { "SKU" } th scope="col" { "Stock" } } }
                tbody {
                    @for variant in &product.variants {
                        tr {
                            td { (variant.name.as_deref().unwrap_or(&product.title)) }
                            td { (variant.sku) }
                            td { (units(&variant.availability)) }
                        }
                    }
                }
            }
            p { a href="/" { "All products" } }
        }
    }
}

fn units(availability: &Availability) -> String {
    match (availability.state.as_str(), availability.available) {
        ("out_of_stock", _) => "Sold out".to_owned(),
        ("in_stock", Some(units)) => format!("{units} in stock"),
        ("not_stocked", _) => "Not counted".to_owned(),
        _ => "Not known right now".to_owned(),
    }
}

/// The page for a product that does not exist.
pub(super) fn nothing() -> Markup {
    html! {
        div.plain {
            h1 { "There is no such product" }
            p { a href="/" { "All products" } }
        }
    }
}

/// The page while the catalogue can't be asked.
pub(super) fn unavailable() -> Markup {
    html! {
        div.plain {
            h1 { "The shop does not answer" }
            p { "It may help to try again in a moment. " a href="/" { "All products" } }
        }
    }
}
