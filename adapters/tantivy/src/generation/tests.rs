use std::thread::sleep;

use stockade_search_sync::{
    Document, DocumentId, DocumentWrite, FieldValue, Revision, View, WriteOutcome,
};

use super::*;

fn shelf(directory: Option<PathBuf>) -> (Store, Shelf) {
    let store = Store::in_memory(1 << 20).unwrap();
    let name = Generation::new("products").unwrap();
    let projection = Projection::catalog();
    let stored = StoredGeneration {
        number: store.create(&name, &projection).unwrap(),
        name,
        projection,
    };
    let options = TantivyOptions::default().with_refresh_interval(Duration::ZERO);
    let shelf = Shelf::open(stored, directory, options, &store).unwrap();
    (store, shelf)
}

/// Writes a document, which becomes a segment.
fn write(store: &Store, shelf: &Shelf, key: &str) {
    let mut view = View::default();
    let title = FieldValue::Text(key.to_owned());
    view.fields.insert("title".to_owned(), vec![title]);
    let write = DocumentWrite {
        document: Document::new(DocumentId::Root(key.to_owned())),
        view: Some(view),
        expected: Revision::Absent,
    };
    let outcomes = store.write(&shelf.name, shelf.number, &[write]).unwrap();
    assert_eq!(outcomes.unwrap(), [WriteOutcome::Durable]);
    shelf.has_changed();
    until(|| {
        shelf.refresh(store);
        !shelf.changed.load(Ordering::Acquire)
    });
}

fn until(is_so: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(1));
    }
    panic!("not so after ten thousand times");
}

fn segments(shelf: &Shelf) -> usize {
    shelf.snapshot().segments.len()
}

#[test]
fn merged_segments_are_read_without_another_write() {
    let directory = tempfile::tempdir().unwrap();
    for directory in [None, Some(directory.path().join("index"))] {
        let (store, shelf) = shelf(directory);
        for number in 0..SEGMENTS_MERGED {
            write(&store, &shelf, &number.to_string());
        }
        until(|| shelf.index.searchable_segment_ids().unwrap().len() == 1);
        until(|| {
            shelf.refresh(&store);
            segments(&shelf) == 1
        });
        assert_eq!(shelf.snapshot().searcher.num_docs(), SEGMENTS_MERGED as u64);
    }
}

#[test]
fn what_was_committed_is_read_once() {
    let (store, shelf) = shelf(None);
    write(&store, &shelf, "lamp");
    assert!(shelf.is_read());
    let read = shelf.snapshot();
    sleep(Duration::from_millis(5));
    shelf.refresh(&store);
    assert!(Arc::ptr_eq(&read, &shelf.snapshot()));
}

#[test]
fn what_can_not_be_read_is_read_later() {
    let directory = tempfile::tempdir().unwrap();
    let (store, shelf) = shelf(Some(directory.path().join("index")));
    write(&store, &shelf, "lamp");
    let files = directory.path().join("index");
    let (list, away) = (files.join("meta.json"), files.join("away"));
    std::fs::rename(&list, &away).unwrap();
    shelf.written.once_more();
    sleep(Duration::from_millis(5));
    shelf.refresh(&store);
    assert!(!shelf.is_read(), "it could not be");
    assert_eq!(segments(&shelf), 1, "what was read before still is");
    std::fs::rename(&away, &list).unwrap();
    until(|| {
        shelf.refresh(&store);
        shelf.is_read()
    });
}
