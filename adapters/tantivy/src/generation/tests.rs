use std::thread::sleep;

use stockade_search_sync::{Document, DocumentId, DocumentWrite, FieldValue, View, WriteOutcome};

use super::*;

fn shelf(directory: Option<PathBuf>) -> (Store, Shelf) {
    shelf_with(directory, Duration::ZERO)
}

fn shelf_with(directory: Option<PathBuf>, interval: Duration) -> (Store, Shelf) {
    let store = Store::in_memory(1 << 20).unwrap();
    let name = Generation::new("products").unwrap();
    let projection = Projection::catalog();
    let stored = StoredGeneration {
        number: store.create(&name, &projection).unwrap(),
        name,
        projection,
    };
    let options = TantivyOptions::default().with_refresh_interval(interval);
    let shelf = Shelf::open(stored, directory, options, &store).unwrap();
    (store, shelf)
}

/// Writes a document, which becomes a segment.
fn write(store: &Store, shelf: &Shelf, key: &str) {
    write_all(store, shelf, &[key]);
}

/// Writes documents, which become a segment.
fn write_all(store: &Store, shelf: &Shelf, keys: &[&str]) {
    let writes: Vec<_> = keys.iter().map(|key| of(store, shelf, key)).collect();
    let outcomes = store.write(&shelf.name, shelf.number, &writes).unwrap();
    assert!(
        outcomes
            .unwrap()
            .iter()
            .all(|outcome| *outcome == WriteOutcome::Durable)
    );
    shelf.has_changed();
    until(|| {
        shelf.refresh(store);
        !shelf.changed.load(Ordering::Acquire)
    });
}

fn of(store: &Store, shelf: &Shelf, key: &str) -> DocumentWrite {
    let mut view = View::default();
    let title = FieldValue::Text(key.to_owned());
    view.fields.insert("title".to_owned(), vec![title.clone()]);
    view.fields.insert("slug".to_owned(), vec![title]);
    let id = DocumentId::Root(key.to_owned());
    let loaded = store.load(shelf.number, std::slice::from_ref(&id));
    let loaded = loaded.unwrap().remove(0).unwrap();
    DocumentWrite {
        document: Document::new(id),
        view: Some(view),
        expected: loaded.revision,
    }
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
fn where_nothing_is_to_do_nothing_is_put_off() {
    let interval = Duration::from_millis(200);
    let (store, shelf) = shelf_with(None, interval);
    write(&store, &shelf, "lamp");
    sleep(interval + interval / 2);
    let before = shelf.follower().not_before;
    assert!(before.is_some_and(|time| time < Instant::now()));
    shelf.refresh(&store);
    assert_eq!(shelf.follower().not_before, before);
}

#[test]
fn a_quiet_index_becomes_one_segment() {
    let (store, shelf) = shelf(None);
    for number in 0..SEGMENTS_MERGED - 1 {
        write(&store, &shelf, &number.to_string());
    }
    until(|| {
        shelf.refresh(&store);
        segments(&shelf) == 1
    });
    assert_eq!(
        shelf.snapshot().searcher.num_docs(),
        SEGMENTS_MERGED as u64 - 1
    );
}

#[test]
fn what_was_opened_of_a_segment_stays_while_its_documents_change() {
    let (store, shelf) = shelf(None);
    write_all(&store, &shelf, &["lamp", "table"]);
    let columns = |at: usize| shelf.snapshot().segments[at].columns("slug").unwrap();
    let opened = columns(0);
    write(&store, &shelf, "lamp");
    let after = shelf.snapshot();
    let kept = |at: &usize| Arc::ptr_eq(&opened, &columns(*at));
    let kept = (0..after.segments.len()).find(kept).expect("it stays open");
    let segment = &after.segments[kept];
    assert_eq!(segment.alive().len(), 1, "the lamp is not in it any more");
    let texts = opened.texts.as_ref().unwrap();
    let lists = segment.lists(&opened);
    assert_eq!(lists.count(texts, &segment.alive()), [0, 1]);
    assert_eq!(lists.count(texts, &[0, 1]), [1, 1]);
}

#[test]
fn few_documents_do_not_make_many_be_written_again() {
    assert_eq!(together(&[]), 0..0);
    assert_eq!(together(&[5]), 0..0);
    assert_eq!(together(&[70, 9]), 0..0, "it is apart already");
    assert_eq!(together(&[70, 5, 4]), 1..3);
    assert_eq!(together(&[70, 10]), 0..2);
    assert_eq!(together(&[70, 8, 2]), 0..3);
    assert_eq!(together(&[MOST_IN_SEGMENT, 900_000, 900_000]), 1..3);
    assert_eq!(together(&[MOST_IN_SEGMENT, MOST_IN_SEGMENT, 1]), 0..0);
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
