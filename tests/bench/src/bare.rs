//! tantivy used bare: what somebody would write for one catalogue, with no more than it needs, and
//! what its own parts give who wants all that ours does.

use std::hint::black_box;
use std::ops::Bound;

use anyhow::{Context as _, bail};
use sample_catalogue::Entry;
use stockade_search_sync::{FacetRequest, Filter, SearchQuery, Sort, SortOrder};
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::{AggContextParams, AggregationCollector};
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, FuzzyTermQuery, Occur, Query, QueryParser, RangeQuery,
    TermQuery,
};
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, JsonObjectOptions, STORED, STRING, Schema, TEXT,
};
use tantivy::snippet::SnippetGenerator;
use tantivy::{DocAddress, Index, IndexReader, IndexWriter, TantivyDocument, Term};

/// An index of products, as its own examples make one.
pub(crate) struct Bare {
    reader: IndexReader,
    parser: QueryParser,
    suggester: QueryParser,
    fields: Fields,
}

struct Fields {
    title: Field,
    description: Field,
    brand: Field,
    category: Field,
    product_type: Field,
    attributes: Field,
    /// Names of attributes and options, and their values, as words.
    words: Field,
    price: Field,
}

/// How much of the work is done.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// The least: words as they are.
    Exact,
    /// The least for misspelt words: with one typing error.
    Fuzzy,
    /// All of it: words as they are and with as many typing errors as ours forgives, the last one
    /// also unfinished, and on the page the pieces of text that match.
    Same,
}

impl Bare {
    pub(crate) fn of(entries: impl Iterator<Item = Entry>) -> anyhow::Result<Self> {
        let mut schema = Schema::builder();
        let fields = Fields {
            title: schema.add_text_field("title", TEXT | STORED),
            description: schema.add_text_field("description", TEXT | STORED),
            brand: schema.add_text_field("brand", STRING | FAST | STORED),
            category: schema.add_text_field("category", STRING | FAST | STORED),
            product_type: schema.add_text_field("product_type", STRING | FAST | STORED),
            attributes: schema.add_json_field(
                "attributes",
                JsonObjectOptions::from(STORED).set_fast("raw"),
            ),
            words: schema.add_text_field("words", TEXT | STORED),
            price: schema.add_u64_field("price", INDEXED | FAST | STORED),
        };
        let index = Index::create_in_ram(schema.build());
        let mut writer: IndexWriter = index.writer_with_num_threads(1, 200 << 20)?;
        for entry in entries {
            writer.add_document(fields.document(&entry))?;
        }
        writer.commit()?;
        writer.wait_merging_threads()?;
        let searched = fields.texts().to_vec();
        let mut parser = QueryParser::for_index(&index, searched);
        parser.set_conjunction_by_default();
        let suggester = QueryParser::for_index(&index, vec![fields.title]);
        Ok(Self {
            reader: index.reader()?,
            parser,
            suggester,
            fields,
        })
    }

    /// One page with its facets, and how many products match. A facet whose own field is filtered costs a search of its own.
    pub(crate) fn search(&self, asked: &SearchQuery, work: Work) -> anyhow::Result<usize> {
        let searcher = self.reader.searcher();
        let filtered = |request: &&FacetRequest| {
            let mut filters = asked.filters.iter();
            filters.any(|filter| filter.field() == request.field)
        };
        let (apart, together): (Vec<_>, Vec<_>) = asked.facets.iter().partition(filtered);
        let query = self.query(asked, work, None)?;
        let aggregations = facets(&together)?;
        let top = TopDocs::with_limit(asked.size);
        let (total, addresses, counted): (usize, Vec<DocAddress>, _) = match &asked.sort {
            Sort::Relevance => {
                let collectors = (Count, top.order_by_score(), aggregations);
                let (total, hits, counted) = searcher.search(&query, &collectors)?;
                (total, hits.into_iter().map(|(_, at)| at).collect(), counted)
            }
            Sort::Field { field, order } => {
                let order = match order {
                    SortOrder::Ascending => tantivy::Order::Asc,
                    SortOrder::Descending => tantivy::Order::Desc,
                };
                let top = top.order_by_fast_field::<u64>(field, order);
                let (total, hits, counted) =
                    searcher.search(&query, &(Count, top, aggregations))?;
                (total, hits.into_iter().map(|(_, at)| at).collect(), counted)
            }
        };
        let mut counts = vec![counted];
        for facet in apart {
            let query = self.query(asked, work, Some(&facet.field))?;
            counts.push(searcher.search(&query, &facets(&[facet])?)?);
        }
        let documents = addresses.into_iter().map(|at| searcher.doc(at));
        let documents: Vec<TantivyDocument> = documents.collect::<Result<_, _>>()?;
        if let (Work::Same, false) = (work, asked.text.is_empty()) {
            for field in self.fields.texts() {
                let snippets = SnippetGenerator::create(&searcher, &query, field)?;
                for document in &documents {
                    black_box(snippets.snippet_from_doc(document));
                }
            }
        }
        black_box((documents, counts));
        Ok(total)
    }

    /// Titles with a word that goes on from what was typed.
    pub(crate) fn suggest(
        &self,
        typed: &str,
        limit: usize,
    ) -> anyhow::Result<Vec<TantivyDocument>> {
        let searcher = self.reader.searcher();
        let query: Box<dyn Query> = match typed.contains(' ') {
            true => self.suggester.parse_query(&format!("\"{typed}\"*"))?,
            false => {
                let term = Term::from_field_text(self.fields.title, typed);
                Box::new(FuzzyTermQuery::new_prefix(term, 0, true))
            }
        };
        let hits = searcher.search(&query, &TopDocs::with_limit(limit).order_by_score())?;
        let documents = hits.into_iter().map(|(_, at)| searcher.doc(at));
        Ok(documents.collect::<Result<_, _>>()?)
    }

    fn query(
        &self,
        asked: &SearchQuery,
        work: Work,
        but: Option<&str>,
    ) -> anyhow::Result<BooleanQuery> {
        let text: Box<dyn Query> = match work {
            _ if asked.text.is_empty() => Box::new(AllQuery),
            Work::Exact => self.parser.parse_query(&asked.text)?,
            Work::Fuzzy => Box::new(self.fuzzy(&asked.text)),
            Work::Same => Box::new(self.forgiving(&asked.text)),
        };
        let mut clauses = vec![(Occur::Must, text)];
        for filter in &asked.filters {
            if Some(filter.field()) != but {
                clauses.push((Occur::Must, self.filter(filter)?));
            }
        }
        Ok(BooleanQuery::new(clauses))
    }

    fn fuzzy(&self, text: &str) -> BooleanQuery {
        self.each_word(text, |term, _| {
            vec![Box::new(FuzzyTermQuery::new(term, 1, true))]
        })
    }

    fn forgiving(&self, text: &str) -> BooleanQuery {
        self.each_word(text, |term, word| {
            let exact = TermQuery::new(term.clone(), IndexRecordOption::WithFreqs);
            let errors = match word.len() {
                0..=3 => 0,
                4..=7 => 1,
                _ => 2,
            };
            let mut queries: Vec<Box<dyn Query>> = vec![
                Box::new(BoostQuery::new(Box::new(exact), 10.0)),
                Box::new(FuzzyTermQuery::new(term.clone(), errors, true)),
            ];
            if text.ends_with(word) {
                queries.push(Box::new(FuzzyTermQuery::new_prefix(term, 0, true)));
            }
            queries
        })
    }

    /// All words have to match, each in any field by any of its queries.
    fn each_word(
        &self,
        text: &str,
        queries: impl Fn(Term, &str) -> Vec<Box<dyn Query>>,
    ) -> BooleanQuery {
        let of_word = |word: &str| {
            let of_field = |field| queries(Term::from_field_text(field, word), word);
            let fields = self.fields.texts().into_iter().flat_map(of_field);
            let query: Box<dyn Query> = Box::new(BooleanQuery::union(fields.collect()));
            query
        };
        BooleanQuery::intersection(text.split(' ').map(of_word).collect())
    }

    fn filter(&self, filter: &Filter) -> anyhow::Result<Box<dyn Query>> {
        match filter {
            Filter::Terms { field, values } => {
                let field = match field.as_str() {
                    "brand" => self.fields.brand,
                    "category" => self.fields.category,
                    "product_type" => self.fields.product_type,
                    other => bail!("{other} is not filtered here"),
                };
                let term = |value: &String| -> Box<dyn Query> {
                    let term = Term::from_field_text(field, value);
                    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
                };
                Ok(Box::new(BooleanQuery::union(
                    values.iter().map(term).collect(),
                )))
            }
            Filter::Range { min, max, .. } => {
                let price = self.fields.price;
                let bound = |end: &Option<f64>| match end {
                    Some(end) => Bound::Included(Term::from_field_u64(price, *end as u64)),
                    None => Bound::Unbounded,
                };
                Ok(Box::new(RangeQuery::new(bound(min), bound(max))))
            }
        }
    }
}

impl Fields {
    /// What words are looked up in.
    fn texts(&self) -> [Field; 3] {
        [self.title, self.description, self.words]
    }

    fn document(&self, entry: &Entry) -> TantivyDocument {
        let content = &entry.content;
        let mut document = TantivyDocument::new();
        document.add_text(self.title, &content.title);
        document.add_text(self.description, &content.description);
        document.add_text(self.brand, content.brand.as_deref().unwrap_or_default());
        for category in &content.category {
            document.add_text(self.category, category);
        }
        document.add_text(self.product_type, content.product_type.as_str());
        let attributes = content.attributes.clone().into_iter();
        document.add_object(
            self.attributes,
            attributes
                .map(|(name, value)| (name, value.into()))
                .collect(),
        );
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        for value in content.attributes.values().filter_map(text) {
            document.add_text(self.words, value);
        }
        for category in &content.category {
            document.add_text(self.words, category);
        }
        for variant in &content.variants {
            for value in variant.options.values() {
                document.add_text(self.words, value);
            }
            if let Some(price) = &variant.price {
                document.add_u64(self.price, price.minor);
            }
        }
        document
    }
}

fn facets(requests: &[&FacetRequest]) -> anyhow::Result<AggregationCollector> {
    let aggregations = requests.iter().map(|request| {
        let terms = serde_json::json!({"field": request.field, "size": request.size});
        (request.field.clone(), serde_json::json!({ "terms": terms }))
    });
    let aggregations: serde_json::Map<_, _> = aggregations.collect();
    let aggregations: Aggregations =
        serde_json::from_value(aggregations.into()).context("facets as tantivy reads them")?;
    let context = AggContextParams::default();
    Ok(AggregationCollector::from_aggs(aggregations, context))
}
