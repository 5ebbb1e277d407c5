//! The rows of the golden file, as a catalogue publishes them, become the right documents.

use std::sync::Arc;

use serde_json::json;
use stockade_catalog_core::rows;
use stockade_change_feed::{
    Batch, Disposition, Handler, Offset, Position, Record, Timestamp, TopicPartition,
};
use stockade_search_sync::memory::MemoryIndex;
use stockade_search_sync::{
    Generation, IndexWriter, Ingest, Projection, SearchIndex, SearchQuery, View,
};
use stockade_testkit::golden::CATALOG_ROWS;

fn records() -> Vec<Record> {
    let position = Position {
        partition: TopicPartition::new(rows::catalog_changes(), 0),
        offset: Offset(0),
        timestamp: Timestamp::EPOCH,
    };
    let record =
        |line: &str| Record::new(position.clone()).with_value(Some(line.to_owned().into()));
    CATALOG_ROWS.lines().map(record).collect()
}

/// The hits after these records, by key.
async fn shown(batches: impl IntoIterator<Item = &[Record]>) -> Vec<(String, View)> {
    let index = Arc::new(MemoryIndex::new());
    let generation = Generation::new("g").unwrap();
    let projection = Projection::catalog();
    index.create(&generation, &projection).await.unwrap();
    index.activate(&generation).await.unwrap();
    let ingest = Ingest::new(index.clone(), generation, projection).unwrap();
    for batch in batches {
        for disposition in ingest.handle(Batch::of(batch)).await {
            assert_eq!(disposition, Disposition::Done);
        }
    }
    let page = index.search(&SearchQuery::default()).await.unwrap();
    let hits = page.hits.into_iter();
    hits.map(|hit| (hit.key, hit.view)).collect()
}

#[tokio::test]
async fn golden_rows_become_the_right_documents() {
    let records = records();
    let shown_at_once = shown([records.as_slice()]).await;
    let views: serde_json::Map<_, _> = shown_at_once
        .iter()
        .map(|(key, view)| (key.clone(), json!(view)))
        .collect();
    let expected = json!({
        "cap": {
            "in_stock": ["false"],
            "media": ["[]"],
            "product_type": ["shirt"],
            "sku": ["cap-one"],
            "slug": ["cap"],
            "title": ["cap"],
            "description": [""],
            "version": [6.0],
        },
        "tee": {
            "attributes.care.iron": ["true"],
            "attributes.care.wash": [30.0],
            "attributes.id": [9_007_199_254_740_992.0],
            "attributes.length": [71.5],
            "attributes.material": ["cotton", "linen"],
            "attributes.weight": [0.18],
            "brand": ["Loom & Söhne"],
            "category": ["Apparel", "T-shirts"],
            "currency": ["EUR"],
            "description": ["It’s \"your\" \\ second skin:\n100 % 🧢"],
            "in_stock": ["false"],
            "media": ["[{\"alt\":\"A tee\",\"url\":\"https://example.com/front.png?a=1&b=%20\"},\
                {\"alt\":\"\",\"url\":\"https://example.com/back.png?a=1&b=%20\"}]"],
            "options.size": ["L", "M"],
            "price": [1_999.0, 2_499.0],
            "product_type": ["shirt"],
            "sku": ["tee-l", "tee-m", "tee-xl"],
            "slug": ["monospace-tee"],
            "title": ["Monospace Tee 2"],
            "variant": ["L", "M"],
            "version": [5.0],
        },
    });
    assert_eq!(serde_json::Value::Object(views), expected);

    let reversed: Vec<Record> = records.iter().rev().cloned().collect();
    assert_eq!(
        shown(reversed.chunks(1)).await,
        shown_at_once,
        "in reverse order"
    );
    let twice = [records.as_slice(), &reversed, &records];
    assert_eq!(shown(twice).await, shown_at_once, "repeated");
}
