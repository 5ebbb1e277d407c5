//! `/search` and `/suggest`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use stockade_search_sync::{
    FacetRequest, Filter, Hit, Order, SearchPage, SearchQuery, Sort, Total,
};

use super::extract::Params;
use super::problem::Problem;
use crate::shop::Shop;

pub(super) async fn search(
    State(shop): State<Arc<Shop>>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let params = params.only(&["q", "filter", "facet", "sort", "size", "cursor"])?;
    Ok(Json(json(&shop.search.search(&query(&params)?).await?)))
}

fn query(params: &Params) -> Result<SearchQuery, Problem> {
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

fn json(page: &SearchPage) -> Value {
    let (total, relation) = match page.total {
        Total::Exactly(count) => (count, "exactly"),
        Total::AtLeast(count) => (count, "at_least"),
    };
    let facets: Vec<_> = page
        .facets
        .iter()
        .map(|facet| {
            let values: Vec<_> = facet
                .values
                .iter()
                .map(|(value, count)| json!({"value": value, "count": count}))
                .collect();
            json!({"field": facet.field, "values": values})
        })
        .collect();
    json!({
        "total": total,
        "total_relation": relation,
        "hits": page.hits.iter().map(hit).collect::<Vec<_>>(),
        "facets": facets,
        "next": page.next,
    })
}

fn hit(hit: &Hit) -> Value {
    let highlights: Vec<_> = hit
        .highlights
        .iter()
        .map(|highlight| {
            let matches: Vec<_> = highlight
                .matches
                .iter()
                .map(|range| [range.start, range.end])
                .collect();
            json!({
                "field": highlight.field,
                "fragment": highlight.fragment,
                "matches": matches,
            })
        })
        .collect();
    let mut fields = json!(hit.view);
    // Kept as it came from the database, which is JSON in a string.
    let media = fields["media"][0]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok());
    if let Some(media) = media {
        fields["media"] = media;
    }
    json!({
        "id": hit.key,
        "score": hit.score,
        "fields": fields,
        "highlights": highlights,
    })
}

pub(super) async fn suggest(
    State(shop): State<Arc<Shop>>,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let params = params.only(&["q", "size"])?;
    let limit = params.number("size")?.unwrap_or(8);
    let suggestions = shop
        .search
        .suggest(params.get("q").unwrap_or_default(), limit)
        .await?;
    let suggestions: Vec<_> = suggestions
        .iter()
        .map(|suggestion| json!({"id": suggestion.key, "text": suggestion.text}))
        .collect();
    Ok(Json(json!({ "suggestions": suggestions })))
}
