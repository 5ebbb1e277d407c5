//! Documents for tests.

use serde_json::json;
use stockade_search_sync::{
    Document, DocumentId, DocumentWrite, FieldValue, Generation, IndexWriter, Revision, Row,
    RowKey, RowVersion, View,
};

pub(crate) fn generation(name: &str) -> Generation {
    Generation::new(name).unwrap()
}

pub(crate) fn root(key: &str) -> DocumentId {
    DocumentId::Root(key.to_owned())
}

pub(crate) fn titled(key: &str, title: &str) -> Document {
    let mut document = Document::new(root(key));
    let key = RowKey {
        table: "products".to_owned(),
        key: key.to_owned(),
    };
    let columns = json!({"title": title}).as_object().cloned();
    let version = RowVersion(1);
    document.rows.insert(key, Row { version, columns });
    document
}

pub(crate) fn view(title: &str) -> View {
    let mut view = View::default();
    let title = FieldValue::Text(title.to_owned());
    view.fields.insert("title".to_owned(), vec![title]);
    view
}

/// Writes documents, replacing existing ones.
pub(crate) async fn put(
    writer: &dyn IndexWriter,
    generation: &Generation,
    documents: Vec<(Document, Option<View>)>,
) {
    let ids: Vec<_> = documents
        .iter()
        .map(|(document, _)| document.id.clone())
        .collect();
    let loaded = writer.load(generation, &ids).await.unwrap();
    let writes = documents.into_iter().zip(loaded);
    let writes: Vec<_> = writes
        .map(|((document, view), loaded)| DocumentWrite {
            document,
            view,
            expected: loaded.map_or(Revision::Absent, |loaded| loaded.revision),
        })
        .collect();
    let outcomes = writer.write(generation, writes).await.unwrap();
    assert!(outcomes.iter().all(Result::is_ok));
}
