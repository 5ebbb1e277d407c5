//! `/search` and `/suggest`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value, json};
use service_kit::{Problem, Query};
use stockade_search_sync::{
    Facet, FacetRequest, Filter, Highlight, Hit, SearchPage, SearchQuery, Sort, SortOrder,
    TotalHits,
};
use utoipa::ToSchema;

use crate::shop::Pages;

/// A page of hits, and the facets of all hits.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchPage)]
pub(super) struct PageBody {
    /// How many products match.
    total: u64,
    /// Whether `total` is exact.
    total_relation: RelationBody,
    /// The hits of this page, in order.
    hits: Vec<HitBody>,
    /// The requested facets, in the order of the request.
    facets: Vec<FacetBody>,
    /// The `cursor` of the next page; null on the last page.
    next: Option<String>,
}

/// Whether the total is exact, or counting stopped at it.
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
    /// The id of the product.
    #[schema(example = "meadow-tee")]
    id: String,
    /// How well the product matches. Scores of different queries can't be compared.
    score: f64,
    /// All values of each field; `media` has the media of the product.
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
    /// Fragments of text that match.
    highlights: Vec<HighlightBody>,
}

/// A fragment of text that matches.
#[derive(Serialize, ToSchema)]
#[schema(as = Highlight)]
struct HighlightBody {
    /// The field that has the text.
    field: String,
    /// The text as it was written: HTML in it is not escaped.
    fragment: String,
    /// Start and end of each match, in bytes of the fragment; the end is exclusive.
    matches: Vec<[usize; 2]>,
}

/// The values of a field, among products that match all filters except those on this field.
#[derive(Serialize, ToSchema)]
#[schema(as = Facet)]
struct FacetBody {
    #[schema(example = "attributes.material")]
    /// The field.
    field: String,
    /// Its values, the most frequent first.
    values: Vec<FacetValueBody>,
}

/// A value, and how many products have it.
#[derive(Serialize, ToSchema)]
#[schema(as = FacetValue)]
struct FacetValueBody {
    value: String,
    /// Products that have the value.
    count: u64,
}

/// Titles that complete the text, the best first.
#[derive(Serialize, ToSchema)]
#[schema(as = Suggestions)]
pub(super) struct SuggestionsBody {
    suggestions: Vec<SuggestionBody>,
}

/// A title, and the product that has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Suggestion)]
struct SuggestionBody {
    /// The id of the product.
    id: String,
    /// The title.
    text: String,
}

/// Search products
///
/// Typing errors are tolerated. Fields are `brand`, `category`, `product_type`, `price`,
/// `in_stock`, `attributes.NAME` and `options.NAME`.
#[utoipa::path(get, path = "/search", tag = "search", operation_id = "search",
    params(
        ("q" = Option<String>, Query, max_length = 1000, description = "The text to search for", example = "medow tee"),
        ("filter" = Option<Vec<String>>, Query, description = "`field:value`, or `field:min..max` with either end left out. A product must match a value of each field; several values of one field are alternatives"),
        ("facet" = Option<Vec<String>>, Query, description = "A field whose values are counted; may be repeated"),
        ("sort" = Option<String>, Query, description = "`field` sorts by it in ascending order, `-field` in descending order. By default the best hits come first"),
        ("size" = Option<usize>, Query, minimum = 1, maximum = 100, description = "The most hits on the page; 24 by default"),
        ("cursor" = Option<String>, Query, description = "The `next` of the previous page"),
    ),
    responses((status = 200, description = "A page of hits", body = PageBody)),
)]
pub(super) async fn search(
    State(pages): State<Arc<Pages>>,
    params: Query,
) -> Result<Json<PageBody>, Problem> {
    let params = params.only(&["q", "sort", "size", "cursor"], &["filter", "facet"])?;
    Ok(Json(body(pages.search.search(&query(&params)?).await?)))
}

pub(super) fn query(params: &Query) -> Result<SearchQuery, Problem> {
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

/// Reads `field:value`, or `field:min..max` for a range of numbers with either end left out.
/// Several values of one field are alternatives.
fn add_filter(filters: &mut Vec<Filter>, text: &str) -> Result<(), Problem> {
    let (name, value) = text.split_once(':').unwrap_or_default();
    if name.is_empty() || value.is_empty() {
        let given = stockade_change_feed::shorten(text);
        let reason = format!("it must be field:value or field:min..max; got {given:?}");
        return Err(Problem::invalid("filter", reason));
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

/// Reads `relevance`, `field` for ascending order, or `-field` for descending order.
fn sort(text: &str) -> Sort {
    match text.strip_prefix('-') {
        _ if text == "relevance" => Sort::Relevance,
        Some(field) => Sort::Field {
            field: field.to_owned(),
            order: SortOrder::Descending,
        },
        None => Sort::Field {
            field: text.to_owned(),
            order: SortOrder::Ascending,
        },
    }
}

fn body(page: SearchPage) -> PageBody {
    let (total, total_relation) = match page.total {
        TotalHits::Exactly(count) => (count, RelationBody::Exactly),
        TotalHits::AtLeast(count) => (count, RelationBody::AtLeast),
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
    // The index keeps it as the database has it: as JSON in a string.
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

/// Suggest titles that complete a text
#[utoipa::path(get, path = "/suggest", tag = "search", operation_id = "suggest",
    params(
        ("q" = Option<String>, Query, max_length = 1000, description = "The text so far", example = "wal"),
        ("size" = Option<usize>, Query, minimum = 1, maximum = 20, description = "The most suggestions; 8 by default"),
    ),
    responses((status = 200, description = "The suggestions", body = SuggestionsBody)),
)]
pub(super) async fn suggest(
    State(pages): State<Arc<Pages>>,
    params: Query,
) -> Result<Json<SuggestionsBody>, Problem> {
    let params = params.only(&["q", "size"], &[])?;
    let limit = params.number("size")?.unwrap_or(8);
    let text = params.get("q").unwrap_or_default();
    let suggestions = pages.search.suggest(text, limit).await?.into_iter();
    let suggestions = suggestions
        .map(|suggestion| SuggestionBody {
            id: suggestion.key,
            text: suggestion.text,
        })
        .collect();
    Ok(Json(SuggestionsBody { suggestions }))
}
