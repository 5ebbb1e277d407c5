//! tantivy as its examples use it: text fields with the default tokenizer, and the default query
//! parser over all fields.

use std::collections::BTreeMap;

use stockade_search_sync::{FieldValue, Hit, SearchIndex, SearchQuery};
use tantivy::collector::TopDocs;
use tantivy::query::QueryParser;
use tantivy::schema::{Field, STORED, STRING, Schema, TEXT, Value as _};
use tantivy::{Index, IndexReader, TantivyDocument};

use crate::evaluation::DEPTH;

/// The fields with text. All attributes are one field, and all options are one field.
const FIELDS: [&str; 9] = [
    "title",
    "description",
    "brand",
    "category",
    "product_type",
    "attributes",
    "variant",
    "options",
    "sku",
];

/// A tantivy index over the documents of another index.
pub(crate) struct Baseline {
    key: Field,
    reader: IndexReader,
    parser: QueryParser,
}

impl Baseline {
    /// Indexes all documents that `index` shows.
    pub(crate) async fn of(index: &dyn SearchIndex) -> anyhow::Result<Self> {
        let mut schema = Schema::builder();
        let key = schema.add_text_field("key", STRING | STORED);
        let fields: BTreeMap<_, _> = FIELDS
            .map(|name| (name, schema.add_text_field(name, TEXT)))
            .into();
        let bare = Index::create_in_ram(schema.build());
        let mut writer = bare.writer(50 << 20)?;
        let mut query = SearchQuery::default().with_size(100);
        loop {
            let page = index.search(&query).await?;
            for hit in page.hits {
                writer.add_document(document(&hit, key, &fields))?;
            }
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => break,
            }
        }
        writer.commit()?;
        let searched = fields.values().copied().collect();
        Ok(Self {
            key,
            reader: bare.reader()?,
            parser: QueryParser::for_index(&bare, searched),
        })
    }

    /// The keys of the best documents, the best first. The parser skips the parts of the text that it
    /// can't read.
    pub(crate) fn search(&self, text: &str) -> tantivy::Result<Vec<String>> {
        let searcher = self.reader.searcher();
        let (query, _) = self.parser.parse_query_lenient(text);
        let best = searcher.search(&query, &TopDocs::with_limit(DEPTH).order_by_score())?;
        let mut keys = Vec::new();
        for (_, address) in best {
            let document: TantivyDocument = searcher.doc(address)?;
            let key = document.get_first(self.key).and_then(|key| key.as_str());
            keys.extend(key.map(str::to_owned));
        }
        Ok(keys)
    }
}

fn document(hit: &Hit, key: Field, fields: &BTreeMap<&str, Field>) -> TantivyDocument {
    let mut document = TantivyDocument::new();
    document.add_text(key, &hit.key);
    for (name, values) in &hit.view.fields {
        let name = name.split('.').next().unwrap_or(name);
        let Some(field) = fields.get(name) else {
            continue;
        };
        for value in values {
            match value {
                FieldValue::Text(text) => document.add_text(*field, text),
                FieldValue::Number(number) => document.add_text(*field, number.to_string()),
            }
        }
    }
    document
}
