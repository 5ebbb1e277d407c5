//! `/search` and `/suggest`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value, json};
use stockade_search_sync::{
    Facet, FacetRequest, Filter, Highlight, Hit, Order, SearchPage, SearchQuery, Sort, Total,
};
use utoipa::ToSchema;

use super::extract::Params;
use super::problem::Problem;
use crate::shop::Shop;

/// A page of hits, and the facets of the whole result.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchPage)]
pub(super) struct PageBody {
    /// How many products match.
    total: u64,
    total_relation: RelationBody,
    hits: Vec<HitBody>,
    /// One for each that was asked for, in their order.
    facets: Vec<FacetBody>,
    /// Where the next page begins (`cursor`); null on the last.
    next: Option<String>,
}

/// Whether the total is exact, or counting stopped there.
#[derive(Serialize, ToSchema)]
#[schema(as = TotalRelation)]
#[serde(rename_all = "snake_case")]
enum RelationBody {
    Exactly,
    AtLeast,
}

/// A product that matches.
#[derive(Serialize, ToSchema)]
#[schema(as = Hit)]
struct HitBody {
    /// The product's id.
    #[schema(example = "meadow-tee")]
    id: String,
    /// How well it matches, for this query only.
    score: f64,
    /// Its fields by name, each with all its values; `media` as the product has it.
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
    highlights: Vec<HighlightBody>,
}

/// A piece of text that matches.
#[derive(Serialize, ToSchema)]
#[schema(as = Highlight)]
struct HighlightBody {
    field: String,
    /// As it was written: not escaped for any markup.
    fragment: String,
    /// From which byte of the fragment to which.
    matches: Vec<[usize; 2]>,
}

/// The values of a field among the products that match all but the filters on this very field.
#[derive(Serialize, ToSchema)]
#[schema(as = Facet)]
struct FacetBody {
    #[schema(example = "attributes.material")]
    field: String,
    /// The most frequent first.
    values: Vec<FacetValueBody>,
}

/// A value and how many products have it.
#[derive(Serialize, ToSchema)]
#[schema(as = FacetValue)]
struct FacetValueBody {
    value: String,
    count: u64,
}

/// Titles that go on from what was typed, the best first.
#[derive(Serialize, ToSchema)]
#[schema(as = Suggestions)]
pub(super) struct SuggestionsBody {
    suggestions: Vec<SuggestionBody>,
}

/// A title, and the product that has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Suggestion)]
struct SuggestionBody {
    id: String,
    text: String,
}

/// Find products
///
/// Typing errors are tolerated. Fields are `brand`, `category`, `product_type`, `price`,
/// `in_stock`, `attributes.NAME` and `options.NAME`.
#[utoipa::path(get, path = "/search", tag = "search",
    params(
        ("q" = Option<String>, Query, max_length = 1000, description = "What somebody typed", example = "medow tee"),
        ("filter" = Option<Vec<String>>, Query, description = "`name:value`, or `name:min..max` with either end left out. Values of one field widen the choice"),
        ("facet" = Option<Vec<String>>, Query, description = "A field whose values are counted"),
        ("sort" = Option<String>, Query, description = "A field for its least first, `-field` for its greatest; else the best hits come first"),
        ("size" = Option<usize>, Query, minimum = 1, maximum = 100, description = "Most hits: 24 if not said"),
        ("cursor" = Option<String>, Query, description = "Where the page before ended: its `next`"),
    ),
    responses((status = 200, description = "A page of hits", body = PageBody)),
)]
pub(super) async fn search(
    State(shop): State<Arc<Shop>>,
    params: Params,
) -> Result<Json<PageBody>, Problem> {
    let params = params.only(&["q", "filter", "facet", "sort", "size", "cursor"])?;
    Ok(Json(body(shop.search.search(&query(&params)?).await?)))
}

pub(super) fn query(params: &Params) -> Result<SearchQuery, Problem> {
    let mut query = SearchQuery::text(params.get("q").unwrap_or_default());
    for filter in params.all("filter") {
        add_filter(&mut query.filters, filter)?;
    }
    query.facets = params.all("facet").map(FacetRequest::new).collect();
    query.sort = params.get("sort").map_or(Sort::Relevance, sort);
    if let Some(size) = params.number("size")? {
        query.size = size;
    }
    query.cursor = params.get("cursor").map(str::to_owned);
    Ok(query)
}

/// Reads `name:value`, or `name:min..max` for a range of numbers with either end left out.
/// Values of one field widen the choice.
fn add_filter(filters: &mut Vec<Filter>, text: &str) -> Result<(), Problem> {
    let form = "it has to be name:value or name:min..max";
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| Problem::invalid("filter", form))?;
    if name.is_empty() || value.is_empty() {
        return Err(Problem::invalid("filter", form));
    }
    if let Some(range) = range(name, value) {
        filters.push(range);
        return Ok(());
    }
    for filter in filters.iter_mut() {
        if let Filter::Terms { field, values } = filter
            && field == name
        {
            values.push(value.to_owned());
            return Ok(());
        }
    }
    filters.push(Filter::terms(name, [value]));
    Ok(())
}

fn range(field: &str, value: &str) -> Option<Filter> {
    let (min, max) = value.split_once("..")?;
    let end = |text: &str| match text {
        "" => Some(None),
        number => number.parse().ok().map(Some),
    };
    let (min, max) = (end(min)?, end(max)?);
    (min.is_some() || max.is_some()).then(|| Filter::Range {
        field: field.to_owned(),
        min,
        max,
    })
}

/// Reads `relevance`, `field`, or `-field` for the greatest first.
fn sort(text: &str) -> Sort {
    match text.strip_prefix('-') {
        _ if text == "relevance" => Sort::Relevance,
        Some(field) => Sort::Field {
            field: field.to_owned(),
            order: Order::Descending,
        },
        None => Sort::Field {
            field: text.to_owned(),
            order: Order::Ascending,
        },
    }
}

fn body(page: SearchPage) -> PageBody {
    let (total, total_relation) = match page.total {
        Total::Exactly(count) => (count, RelationBody::Exactly),
        Total::AtLeast(count) => (count, RelationBody::AtLeast),
    };
    PageBody {
        total,
        total_relation,
        hits: page.hits.into_iter().map(hit).collect(),
        facets: page.facets.into_iter().map(facet).collect(),
        next: page.next,
    }
}

fn facet(facet: Facet) -> FacetBody {
    let value = |(value, count)| FacetValueBody { value, count };
    FacetBody {
        field: facet.field,
        values: facet.values.into_iter().map(value).collect(),
    }
}

fn hit(hit: Hit) -> HitBody {
    let fields = hit.view.fields.into_iter();
    let mut fields: Map<String, Value> =
        fields.map(|(name, values)| (name, json!(values))).collect();
    // Kept as it came from the database, which is JSON in a string.
    let media = fields
        .get("media")
        .and_then(|media| serde_json::from_str(media[0].as_str()?).ok());
    if let Some(media) = media {
        fields.insert("media".to_owned(), media);
    }
    HitBody {
        id: hit.key,
        score: hit.score,
        fields,
        highlights: hit.highlights.into_iter().map(highlight).collect(),
    }
}

fn highlight(highlight: Highlight) -> HighlightBody {
    let matches = highlight.matches.into_iter();
    HighlightBody {
        field: highlight.field,
        fragment: highlight.fragment,
        matches: matches.map(|range| [range.start, range.end]).collect(),
    }
}

/// Go on from what somebody has typed so far
#[utoipa::path(get, path = "/suggest", tag = "search",
    params(
        ("q" = Option<String>, Query, max_length = 1000, example = "wal"),
        ("size" = Option<usize>, Query, minimum = 1, maximum = 20, description = "Most suggestions: 8 if not said"),
    ),
    responses((status = 200, description = "Titles", body = SuggestionsBody)),
)]
pub(super) async fn suggest(
    State(shop): State<Arc<Shop>>,
    params: Params,
) -> Result<Json<SuggestionsBody>, Problem> {
    let params = params.only(&["q", "size"])?;
    let limit = params.number("size")?.unwrap_or(8);
    let text = params.get("q").unwrap_or_default();
    let suggestions = shop.search.suggest(text, limit).await?.into_iter();
    let suggestions = suggestions
        .map(|suggestion| SuggestionBody {
            id: suggestion.key,
            text: suggestion.text,
        })
        .collect();
    Ok(Json(SuggestionsBody { suggestions }))
}
