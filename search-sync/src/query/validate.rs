//! Whether a query is within the limits and uses fields that exist.

use super::{Filter, SearchQuery, Sort};
use crate::error::SearchError;
use crate::projection::{FieldKind, Projection};

const MOST_TEXT: usize = 1_000;
const MOST_FILTERS: usize = 50;
const MOST_TERMS: usize = 100;
const MOST_TERM: usize = 8 * 1024;
const MOST_FACETS: usize = 30;
const MOST_FACET_VALUES: usize = 1_000;
const MOST_HITS: usize = 100;
const MOST_SUGGESTIONS: usize = 20;

impl SearchQuery {
    /// Checks everything that does not depend on an index. Every index calls it first. The cursor
    /// is checked where it is [decoded](crate::PageEnd::decode).
    ///
    /// Filters, facets and sorting accept any field except [`FieldKind::Text`] and
    /// [`FieldKind::Stored`]. Ranges accept a [`FieldKind::Number`] or a member of attributes.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] naming the part, for example `filters[2].field`.
    pub fn validate(&self, projection: &Projection) -> Result<(), SearchError> {
        check_text("text", &self.text)?;
        check_count("filters", self.filters.len(), 0, MOST_FILTERS)?;
        for (at, filter) in self.filters.iter().enumerate() {
            check_filter(&format!("filters[{at}]"), filter, projection)?;
        }
        check_count("facets", self.facets.len(), 0, MOST_FACETS)?;
        for (at, facet) in self.facets.iter().enumerate() {
            let path = format!("facets[{at}]");
            check_field(&path, &facet.field, projection)?;
            check_count(&format!("{path}.size"), facet.size, 1, MOST_FACET_VALUES)?;
        }
        if let Sort::Field { field, .. } = &self.sort {
            check_field("sort", field, projection)?;
        }
        check_count("size", self.size, 1, MOST_HITS)
    }

    /// Checks the arguments of [`suggest`](crate::SearchIndex::suggest).
    ///
    /// # Errors
    /// [`SearchError::Invalid`] naming `prefix` or `limit`.
    pub fn validate_suggest(prefix: &str, limit: usize) -> Result<(), SearchError> {
        check_text("prefix", prefix)?;
        check_count("limit", limit, 1, MOST_SUGGESTIONS)
    }
}

fn check_filter(path: &str, filter: &Filter, projection: &Projection) -> Result<(), SearchError> {
    let kind = check_field(path, filter.field(), projection)?;
    match filter {
        Filter::Terms { values, .. } => {
            check_count(&format!("{path}.values"), values.len(), 1, MOST_TERMS)?;
            for (at, value) in values.iter().enumerate() {
                if value.len() > MOST_TERM {
                    let reason = format!("a value has at most {MOST_TERM} bytes");
                    return invalid(&format!("{path}.values[{at}]"), value, &reason);
                }
            }
            Ok(())
        }
        Filter::Range { field, min, max } => {
            if !matches!(kind, FieldKind::Number | FieldKind::Attributes) {
                let reason = "a range needs a number or a member of attributes";
                return invalid(&format!("{path}.field"), field, reason);
            }
            check_range(path, *min, *max)
        }
    }
}

fn check_range(path: &str, min: Option<f64>, max: Option<f64>) -> Result<(), SearchError> {
    for (name, end) in [("min", min), ("max", max)] {
        if let Some(end) = end.filter(|end| !end.is_finite()) {
            let reason = "it must be a finite number";
            return invalid(&format!("{path}.{name}"), &end.to_string(), reason);
        }
    }
    match (min, max) {
        (None, None) => invalid(path, "", "a range needs min, max or both"),
        (Some(min), Some(max)) if min > max => {
            let value = format!("{min} to {max}");
            invalid(path, &value, "min must not be above max")
        }
        _ => Ok(()),
    }
}

fn check_field(path: &str, field: &str, projection: &Projection) -> Result<FieldKind, SearchError> {
    let path = format!("{path}.field");
    match projection.kind_of(field) {
        None => invalid(&path, field, "the projection has no such field"),
        Some(FieldKind::Text { .. } | FieldKind::Stored) => {
            let reason = "text and stored fields can't be used in filters, facets or sorting";
            invalid(&path, field, reason)
        }
        Some(kind) => Ok(kind),
    }
}

fn check_text(path: &str, text: &str) -> Result<(), SearchError> {
    if text.len() > MOST_TEXT {
        return invalid(path, text, &format!("it has at most {MOST_TEXT} bytes"));
    }
    Ok(())
}

fn check_count(path: &str, count: usize, least: usize, most: usize) -> Result<(), SearchError> {
    if count < least || count > most {
        let reason = format!("allowed are {least} to {most}");
        return invalid(path, &count.to_string(), &reason);
    }
    Ok(())
}

fn invalid<T>(path: &str, value: &str, reason: &str) -> Result<T, SearchError> {
    Err(SearchError::invalid(path, value, reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{FacetRequest, SortOrder};

    #[test]
    fn an_invalid_part_of_a_query_is_named() {
        let range = |field: &str, min, max| Filter::Range {
            field: field.to_owned(),
            min,
            max,
        };
        let sort = |field: &str| Sort::Field {
            field: field.to_owned(),
            order: SortOrder::Ascending,
        };
        let query = SearchQuery::default;
        let brand = || Filter::terms("brand", ["a"]);
        let many = |count: usize| (0..count).map(|at| at.to_string());
        let cases = [
            (SearchQuery::text("a ".repeat(501)), "text"),
            (
                query()
                    .with_filter(brand())
                    .with_filter(Filter::terms("colour", ["a"])),
                "filters[1].field",
            ),
            (
                query().with_filter(Filter::terms("title", ["a"])),
                "filters[0].field",
            ),
            (
                query().with_filter(Filter::terms("brand", many(0))),
                "filters[0].values",
            ),
            (
                query().with_filter(Filter::terms("brand", many(101))),
                "filters[0].values",
            ),
            (
                query().with_filter(Filter::terms("brand", ["a".repeat(9_000)])),
                "filters[0].values[0]",
            ),
            (
                query().with_filter(range("brand", Some(1.0), None)),
                "filters[0].field",
            ),
            (
                query().with_filter(range("price", Some(f64::NAN), None)),
                "filters[0].min",
            ),
            (
                query().with_filter(range("price", None, Some(f64::INFINITY))),
                "filters[0].max",
            ),
            (
                query().with_filter(range("price", Some(2.0), Some(1.0))),
                "filters[0]",
            ),
            (
                query().with_filter(range("price", None, None)),
                "filters[0]",
            ),
            (
                many(51).fold(query(), |query, _| query.with_filter(brand())),
                "filters",
            ),
            (
                many(31).fold(query(), |query, _| {
                    query.with_facet(FacetRequest::new("brand"))
                }),
                "facets",
            ),
            (
                query().with_facet(FacetRequest::new("media")),
                "facets[0].field",
            ),
            (
                query().with_facet(FacetRequest::new("brand").with_size(0)),
                "facets[0].size",
            ),
            (query().with_sort(sort("attributes")), "sort.field"),
            (query().with_size(0), "size"),
            (query().with_size(101), "size"),
        ];
        let projection = Projection::catalog();
        for (query, part) in cases {
            let Err(SearchError::Invalid { field, .. }) = query.validate(&projection) else {
                panic!("{part} should be refused");
            };
            assert_eq!(field, part);
        }
        let good = query()
            .with_filter(range("attributes.width", Some(1.0), Some(1.0)))
            .with_facet(FacetRequest::new("attributes.color"))
            .with_sort(sort("price"));
        good.validate(&projection).unwrap();
    }
}
