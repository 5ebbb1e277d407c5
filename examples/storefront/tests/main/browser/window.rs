//! A browser, and an address that it looks at.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::{Client as Driver, Locator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::chromium::{Chromium, Screen};

/// The longest wait for something to be seen.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Window {
    chromium: Chromium,
    url: String,
}

impl Window {
    /// A browser; none where there is none.
    pub(crate) async fn start(screen: Screen) -> Option<Self> {
        let chromium = Chromium::start(screen).await?;
        let url = String::new();
        Some(Self { chromium, url })
    }

    /// Looks at the server at this URL.
    pub(crate) fn at(self, url: &str) -> Self {
        let url = url.to_owned();
        Self { url, ..self }
    }

    pub(crate) fn driver(&self) -> &Driver {
        &self.chromium.client
    }

    /// Goes to a path.
    pub(crate) async fn open(&self, path: &str) {
        let url = format!("{}{path}", self.url);
        self.driver().goto(&url).await.unwrap();
    }

    /// The path and query that the browser shows.
    pub(crate) async fn address(&self) -> String {
        let url = self.driver().current_url().await.unwrap();
        url[url::Position::BeforePath..].to_owned()
    }

    /// Waits for an element.
    pub(crate) async fn see(&self, selector: &str) -> Element {
        self.until(
            &format!("there is {selector}"),
            &format!("document.querySelector({selector:?})?.checkVisibility()"),
            true,
        )
        .await;
        self.driver().find(Locator::Css(selector)).await.unwrap()
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.see(selector).await.click().await.unwrap();
    }

    pub(crate) async fn write(&self, selector: &str, text: &str) {
        self.see(selector).await.send_keys(text).await.unwrap();
    }

    /// Presses a key with the focus where it is.
    pub(crate) async fn press(&self, key: char) {
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key });
        self.driver().perform_actions(keys).await.unwrap();
    }

    /// Waits until an expression has a value, and fails with the one that it had.
    pub(crate) async fn until<T>(&self, what: &str, expression: &str, expected: T)
    where
        T: DeserializeOwned + PartialEq + Debug,
    {
        let started = Instant::now();
        loop {
            let value = self.evaluate(expression).await;
            if serde_json::from_value::<T>(value.clone()).is_ok_and(|value| value == expected) {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "it was never seen that {what}: {expression} is {value}, not {expected:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn evaluate(&self, expression: &str) -> Value {
        let script = format!("return {expression};");
        self.driver().execute(&script, vec![]).await.unwrap()
    }

    /// Waits until the text of an element contains this.
    pub(crate) async fn read(&self, selector: &str, text: &str) {
        let expression = format!("document.querySelector({selector:?})?.textContent");
        let started = Instant::now();
        loop {
            let value = self.evaluate(&expression).await;
            if value.as_str().is_some_and(|value| value.contains(text)) {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "{selector} never said {text:?}, but {value}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Tabs until an element has the focus.
    pub(crate) async fn tab_to(&self, selector: &str) {
        for _ in 0..80 {
            let there = format!("document.activeElement?.matches({selector:?})");
            if self.evaluate(&there).await == true {
                return;
            }
            self.press(fantoccini::key::Key::Tab.into()).await;
        }
        panic!("{selector} can't be reached by tabbing");
    }
}
