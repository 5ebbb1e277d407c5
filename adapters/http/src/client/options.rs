//! Where the other service is, and how it is asked.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use http::Uri;
use http::header::HeaderValue;
use rustls::ClientConfig;
use stockade_inventory_core::InventoryError;

/// Options of an [`HttpStockSource`](crate::HttpStockSource). `Debug` does not show the token.
///
/// ```
/// use std::time::Duration;
/// use stockade_http::HttpOptions;
///
/// # fn doc() -> Result<(), stockade_inventory_core::InventoryError> {
/// let options = HttpOptions::new("https://inventory.internal")?
///     .with_bearer_token("0123456789abcdef")?
///     .with_timeout(Duration::from_millis(500));
/// assert!(!format!("{options:?}").contains("0123456789abcdef"));
/// # Ok(())
/// # }
/// # doc().unwrap();
/// ```
#[derive(Clone)]
pub struct HttpOptions {
    /// Without a slash at its end.
    pub(super) url: String,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) timeout: Duration,
    pub(super) max_skus: NonZeroUsize,
    pub(super) max_calls: NonZeroUsize,
    pub(super) max_answer_bytes: usize,
    pub(super) tls: Option<ClientConfig>,
}

impl HttpOptions {
    /// Options for the service at this URL, such as `http://inventory:8080`. If the routes are below
    /// a path there, the URL ends with that path.
    ///
    /// # Errors
    /// [`InventoryError::Invalid`] for a text that is no URL of HTTP or HTTPS, and for a URL with a
    /// user, a password, a query or a fragment. The error does not have a URL with a password.
    pub fn new(url: &str) -> Result<Self, InventoryError> {
        let url = parse(url)?;
        Ok(Self {
            url,
            authorization: None,
            timeout: Duration::from_secs(2),
            max_skus: NonZeroUsize::new(250).unwrap_or(NonZeroUsize::MIN),
            max_calls: NonZeroUsize::new(128).unwrap_or(NonZeroUsize::MIN),
            max_answer_bytes: 8 * 1024 * 1024,
            tls: None,
        })
    }

    /// Sends this token with each request: `Authorization: Bearer TOKEN`.
    ///
    /// # Errors
    /// [`InventoryError::Invalid`] for a token with characters that a header does not allow. The
    /// error does not have the token.
    pub fn with_bearer_token(mut self, token: &str) -> Result<Self, InventoryError> {
        let visible = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let header = HeaderValue::try_from(format!("Bearer {token}"));
        let Some(mut header) = header.ok().filter(|_| visible) else {
            let reason = "it has to be one or more visible ASCII characters";
            return Err(InventoryError::invalid("bearer token", "(hidden)", reason));
        };
        header.set_sensitive(true);
        self.authorization = Some(header);
        Ok(self)
    }

    /// Sets the longest time of a call, all its requests included: 2 seconds by default.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the most SKUs of a request and of a page: 250 by default. The routes of this crate allow
    /// 1,000.
    #[must_use]
    pub fn with_max_skus(mut self, skus: NonZeroUsize) -> Self {
        self.max_skus = skus;
        self
    }

    /// Sets the most calls at once: 128 by default. Further calls wait, within their timeout.
    #[must_use]
    pub fn with_max_calls(mut self, calls: NonZeroUsize) -> Self {
        self.max_calls = calls;
        self
    }

    /// Sets the largest answer to a request, in bytes: 8 MiB by default. A larger one is an error.
    #[must_use]
    pub fn with_max_answer_bytes(mut self, bytes: usize) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// Sets whom this client trusts, and its certificate, for HTTPS. By default it trusts the
    /// authorities that this machine trusts.
    #[must_use]
    pub fn with_tls(mut self, config: ClientConfig) -> Self {
        self.tls = Some(config);
        self
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("url", &self.url)
            .field("bearer_token", &self.authorization.is_some())
            .field("timeout", &self.timeout)
            .field("max_skus", &self.max_skus)
            .field("max_calls", &self.max_calls)
            .field("max_answer_bytes", &self.max_answer_bytes)
            .finish_non_exhaustive()
    }
}

/// Checks a URL, and cuts the slash at its end.
fn parse(text: &str) -> Result<String, InventoryError> {
    let invalid = |value: &str, reason: &str| Err(InventoryError::invalid("url", value, reason));
    // A text with an @ may have a password.
    let shown = if text.contains('@') { "(hidden)" } else { text };
    let url = match text.parse::<Uri>() {
        Ok(url) if matches!(url.scheme_str(), Some("http" | "https")) => url,
        _ => return invalid(shown, "it has to begin with http://HOST or https://HOST"),
    };
    if url.authority().is_some_and(|it| it.as_str().contains('@')) {
        let reason = "it must have no user and no password; set a bearer token instead";
        return invalid(shown, reason);
    }
    if url.query().is_some() || text.contains('#') {
        return invalid(shown, "it must have no query and no fragment");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_checked() {
        for url in ["inventory:8080", "", "ftp://inventory", "http://", "/stock"] {
            let error = HttpOptions::new(url).unwrap_err().to_string();
            assert!(error.contains("http://HOST"), "{url}: {error}");
        }
        let error = HttpOptions::new("http://inventory/?a=b").unwrap_err();
        assert!(error.to_string().contains("query"), "{error}");
    }

    #[test]
    fn no_error_has_a_secret() {
        for url in ["http://ada:s3cret@inventory", "ada:s3cret@inventory"] {
            let error = HttpOptions::new(url).unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(!told.contains("s3cret"), "{told}");
        }
        let options = HttpOptions::new("http://inventory").unwrap();
        let error = options.with_bearer_token("s3cret\n").unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(!told.contains("s3cret"), "{told}");
    }

    #[test]
    fn debug_hides_the_token() {
        let options = HttpOptions::new("http://inventory:8080/").unwrap();
        let options = options.with_bearer_token("s3cret").unwrap();
        let shown = format!("{options:?}");
        assert!(
            !shown.contains("s3cret") && shown.contains("inventory:8080"),
            "{shown}"
        );
    }
}
