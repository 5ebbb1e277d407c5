//! The document that the scripts fill, and its content for browsers without scripts.

use maud::{DOCTYPE, Markup, html};
use stockade_catalog_core::{ProductContent, SkuAvailability, Stock};
use stockade_search_sync::{FieldValue, Hit, SearchPage};

use super::super::Faults;
use super::assets::{ASSETS, VERSION};

/// The metadata of a page, for example for search results or chats.
pub(super) struct Head<'a> {
    pub(super) title: &'a str,
    pub(super) description: &'a str,
}

pub(super) struct Shell<'a> {
    pub(super) faults: Faults,
    pub(super) head: Head<'a>,
}

impl Shell<'_> {
    /// The whole document, with the content for browsers without scripts.
    pub(super) fn with(&self, plain: &Markup) -> Markup {
        let faults = match self.faults {
            Faults::Allowed => "allowed",
            Faults::Refused => "refused",
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

/// A product for browsers without scripts: its content, and the stock at the time of the request.
pub(super) fn product(product: &ProductContent, stock: &[SkuAvailability]) -> Markup {
    html! {
        div.plain {
            p.plain-note { "Live stock and reserving need JavaScript." }
            h1 { (product.title) }
            @if let Some(brand) = &product.brand { p { (brand) } }
            p { (product.description) }
            table {
                thead { tr { th scope="col" { "Variant" } th scope="col" { "SKU" } th scope="col" { "Stock" } } }
                tbody {
                    @for (variant, item) in product.variants.iter().zip(stock) {
                        tr {
                            td { (variant.name.as_deref().unwrap_or(&product.title)) }
                            td { (variant.sku) }
                            td { (availability(item)) }
                        }
                    }
                }
            }
            p { a href="/" { "All products" } }
        }
    }
}

fn availability(item: &SkuAvailability) -> String {
    match item.stock {
        Stock::Available(0) => "Sold out".to_owned(),
        Stock::Available(units) => format!("{units} in stock"),
        Stock::NotStocked => "Not counted".to_owned(),
        Stock::Unknown => "Not known right now".to_owned(),
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
