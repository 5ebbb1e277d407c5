use proptest::prelude::*;

use super::*;

/// A write, over so few products, slugs and SKUs that they meet.
#[derive(Clone, Debug)]
enum Write {
    Put(Content, Wanted),
    Delete(u8, Wanted),
}

/// A content by its numbers: product, slug, title, type, and variants by SKU and name.
type Content = (u8, u8, u8, u8, Vec<(u8, u8)>);

#[derive(Clone, Copy, Debug)]
enum Wanted {
    Any,
    Absent,
    /// The version that is there.
    Current,
    /// Another version than the one that is there.
    Old,
}

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        4 => Just(Wanted::Any),
        1 => Just(Wanted::Absent),
        2 => Just(Wanted::Current),
        1 => Just(Wanted::Old),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    let variants = prop::collection::vec((0_u8..6, 0_u8..2), 0..4);
    // The fourth type does not exist.
    let content = (0_u8..3, 0_u8..4, 0_u8..2, 0_u8..4, variants);
    prop_oneof![
        5 => (content, wanted()).prop_map(|(content, wanted)| Write::Put(content, wanted)),
        1 => (0_u8..3, wanted()).prop_map(|(id, wanted)| Write::Delete(id, wanted)),
    ]
}

fn id(number: u8) -> ProductId {
    ProductId::new(format!("p{number}")).unwrap()
}

fn type_name(number: u8) -> ProductTypeName {
    ProductTypeName::new(format!("t{number}")).unwrap()
}

fn content((product, slug, title, product_type, variants): &Content) -> ProductContent {
    let slug = Slug::new(format!("s{slug}")).unwrap();
    let title = title.to_string();
    let mut content = ProductContent::new(id(*product), slug, title, type_name(*product_type));
    for (sku, name) in variants {
        let mut variant = Variant::new(Sku::new(format!("k{sku}")).unwrap());
        variant.name = Some(name.to_string());
        content.variants.push(variant);
    }
    content
}

fn state() -> CatalogState {
    let mut state = CatalogState::default();
    for number in 0..3 {
        state.add_type(type_name(number));
    }
    state
}

/// What was written, in order: the rules are read off it anew each time.
#[derive(Default)]
struct Model {
    written: Vec<(ProductId, Option<Product>)>,
}

impl Model {
    fn now(&self, id: &ProductId) -> Option<&Product> {
        let (_, last) = self.written.iter().rev().find(|(of, _)| of == id)?;
        last.as_ref()
    }

    fn others(&self, id: &ProductId) -> Vec<&Product> {
        let ids: BTreeSet<_> = self.written.iter().map(|(of, _)| of).collect();
        let others = ids.into_iter().filter(|of| *of != id);
        others.filter_map(|of| self.now(of)).collect()
    }

    fn ever_used_by_another(&self, sku: &Sku, id: &ProductId) -> bool {
        let others = self.written.iter().filter(|(of, _)| of != id);
        let products = others.filter_map(|(_, product)| product.as_ref());
        products.flat_map(skus).any(|used| used == sku)
    }

    fn expected(&self, id: &ProductId, wanted: Wanted) -> Expected {
        let current = self.now(id).map_or(0, |product| product.version);
        match wanted {
            Wanted::Any => Expected::Any,
            Wanted::Absent => Expected::Absent,
            Wanted::Current => Expected::Version(current),
            Wanted::Old => Expected::Version(current + 7),
        }
    }

    /// Which rule refuses a content; `None` where none does.
    fn refusal(&self, content: &ProductContent, expected: Expected) -> Option<&'static str> {
        let now = self.now(&content.id);
        let met = match expected {
            Expected::Any => true,
            Expected::Absent => now.is_none(),
            Expected::Version(version) => now.is_some_and(|now| now.version == version),
        };
        let others = self.others(&content.id);
        let used: Vec<&Sku> = content.variants.iter().map(|v| &v.sku).collect();
        let distinct: BTreeSet<&&Sku> = used.iter().collect();
        let stolen = |sku: &&&Sku| self.ever_used_by_another(sku, &content.id);
        if !met {
            Some("conflict")
        } else if content.product_type == type_name(3) {
            Some("type")
        } else if others
            .iter()
            .any(|other| other.content.slug == content.slug)
        {
            Some("slug")
        } else if distinct.len() < used.len() {
            Some("twice")
        } else if used.iter().find(stolen).is_some() {
            Some("SKU")
        } else {
            None
        }
    }
}

fn skus(product: &Product) -> impl Iterator<Item = &Sku> {
    product.content.variants.iter().map(|variant| &variant.sku)
}

fn rule(error: &CatalogError) -> &'static str {
    match error {
        CatalogError::VersionConflict { .. } => "conflict",
        CatalogError::UnknownProductType { .. } => "type",
        CatalogError::SlugTaken { .. } => "slug",
        CatalogError::Invalid { .. } => "twice",
        CatalogError::SkuTaken { .. } => "SKU",
        other => panic!("no rule of the catalogue: {other}"),
    }
}

/// The rows of a product that a store has, after it does what a change says.
fn changed_rows(change: &Change) -> Vec<(usize, Variant)> {
    let before = change
        .before
        .iter()
        .flat_map(|before| rows(&before.content));
    let mut stored: Vec<VariantRow<'_>> = before.collect();
    let take = |stored: &mut Vec<VariantRow<'_>>, row: VariantRow<'_>| {
        let at = stored
            .iter()
            .position(|at| *at == row)
            .expect("it is stored");
        stored.remove(at);
    };
    let mut written = Vec::new();
    for variant in change.variants() {
        match variant {
            VariantChange::Retired(row) => {
                take(&mut stored, row);
                assert!(
                    written.is_empty(),
                    "rows are retired before others are written"
                );
            }
            VariantChange::Kept(row) => {
                take(&mut stored, row);
                written.push(row);
            }
            VariantChange::Updated(before, row) => {
                assert_eq!(before.1.sku, row.1.sku);
                assert_ne!(before, row, "a row is written that does not differ");
                take(&mut stored, before);
                written.push(row);
            }
            VariantChange::Inserted(row) => written.push(row),
        }
    }
    assert!(stored.is_empty(), "nothing is said of {stored:?}");
    let written = written.into_iter();
    written
        .map(|(position, variant)| (position, variant.clone()))
        .collect()
}

/// Puts a content, and returns what it becomes where it changes.
fn put(
    state: &mut CatalogState,
    model: &Model,
    numbers: &Content,
    wanted: Wanted,
    version: u64,
) -> Result<Option<Product>, TestCaseError> {
    let content = content(numbers);
    let expected = model.expected(&content.id, wanted);
    let now = model.now(&content.id).cloned();
    let is_same = now.as_ref().is_some_and(|now| now.content == content);
    let refusal = model.refusal(&content, expected);
    let change = match state.decide_put(content.clone(), expected) {
        Ok(Put::Unchanged(product)) => {
            prop_assert!(is_same);
            prop_assert_eq!(Some(*product), now);
            return Ok(None);
        }
        Err(error) => {
            prop_assert!(!is_same, "a repeated write is refused");
            prop_assert_eq!(Some(rule(&error)), refusal);
            if let CatalogError::VersionConflict { current, .. } = error {
                prop_assert_eq!(current.map(|current| *current), now);
            }
            return Ok(None);
        }
        Ok(Put::Change(change)) => change,
    };
    prop_assert!(!is_same, "a repeated write changes something");
    prop_assert_eq!(refusal, None);
    prop_assert_eq!(&change.before, &now);
    let rows = rows(&content).map(|(position, variant)| (position, variant.clone()));
    prop_assert_eq!(changed_rows(&change), rows.collect::<Vec<_>>());
    let used = |sku: &Sku| {
        let products = model
            .written
            .iter()
            .filter_map(|(_, product)| product.as_ref());
        products.flat_map(skus).any(|used| used == sku)
    };
    let new = content.variants.iter().map(|variant| &variant.sku);
    let new: Vec<&Sku> = new.filter(|sku| !used(sku)).collect();
    prop_assert_eq!(change.new_skus.iter().collect::<Vec<_>>(), new);
    state.apply(&change, version);
    let written = change.written(version);
    prop_assert_eq!(written.effect == WriteEffect::Created, now.is_none());
    Ok(Some(written.product))
}

proptest! {
    #[test]
    fn decisions_follow_the_rules(writes in prop::collection::vec(write(), 1..60)) {
        let mut state = state();
        let mut model = Model::default();
        for (version, write) in (1..).zip(writes) {
            match write {
                Write::Put(numbers, wanted) => {
                    let product = put(&mut state, &model, &numbers, wanted, version)?;
                    if let Some(product) = product {
                        model.written.push((product.content.id.clone(), Some(product)));
                    }
                }
                Write::Delete(number, wanted) => {
                    let id = id(number);
                    let now = model.now(&id).cloned();
                    let refused = matches!(wanted, Wanted::Absent | Wanted::Old);
                    match state.decide_delete(&id, model.expected(&id, wanted)) {
                        Ok(removed) => {
                            prop_assert_eq!(removed, now.as_ref());
                            prop_assert!(now.is_none() || !refused);
                            state.remove(&id);
                            model.written.push((id, None));
                        }
                        Err(error) => {
                            prop_assert!(now.is_some() && refused);
                            prop_assert_eq!(rule(&error), "conflict");
                        }
                    }
                }
            }
            for number in 0..3 {
                let key = ProductKey::Id(id(number));
                prop_assert_eq!(state.find(&key), model.now(&id(number)));
            }
        }
    }
}

#[test]
fn products_are_found_by_what_they_have_now() {
    let mut state = state();
    let first = content(&(0, 0, 0, 0, vec![(0, 0), (1, 0)]));
    let second = content(&(0, 1, 0, 0, vec![(1, 0)]));
    for (version, content) in [(1, first), (2, second)] {
        let Put::Change(change) = state.decide_put(content, Expected::Any).unwrap() else {
            panic!("it differs");
        };
        state.apply(&change, version);
    }
    let found = |key| state.find(&key).is_some();
    let slug = |number: u8| ProductKey::Slug(Slug::new(format!("s{number}")).unwrap());
    let sku = |number: u8| ProductKey::Sku(Sku::new(format!("k{number}")).unwrap());
    assert!(!found(slug(0)) && found(slug(1)));
    assert!(!found(sku(0)) && found(sku(1)));
    assert_eq!(state.products_after(None).count(), 1);
    assert_eq!(state.products_after(Some(&id(0))).count(), 0);
}
