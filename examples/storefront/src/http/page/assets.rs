//! The files of the page, embedded in the binary.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use service_kit::Problem;
use uuid::Uuid;

pub(super) struct Asset {
    pub(super) name: &'static str,
    content: &'static [u8],
}

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        &[$(Asset { name: $name, content: include_bytes!(concat!("../../../page/", $name)) }),*]
    };
}

/// Everything in the folder `page`.
pub(super) const ASSETS: &[Asset] = assets![
    "api.js",
    "art.js",
    "bricolage-grotesque.woff2",
    "cards.js",
    "countdown.js",
    "dom.js",
    "facets.js",
    "figtree.woff2",
    "highlight.js",
    "hood.js",
    "icon.svg",
    "listing.js",
    "live.js",
    "location.js",
    "main.js",
    "motifs.js",
    "page.css",
    "picker.js",
    "product.js",
    "reservation.js",
    "reservations.js",
    "reserve.js",
    "suggest.js",
    "tray.js",
    "words.js",
];

/// The version of all files, computed from their content. It is the folder in their URLs, so that
/// modules that import each other by relative paths have the same version, and may be cached for
/// ever.
pub(super) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let contents: Vec<u8> = ASSETS
        .iter()
        .flat_map(|asset| tag(asset.content).into_bytes())
        .collect();
    tag(&contents)[..12].to_owned()
});

fn tag(content: &[u8]) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, content)
        .simple()
        .to_string()
}

impl Asset {
    fn content_type(&self) -> &'static str {
        match self.name.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("woff2") => "font/woff2",
            _ => "application/octet-stream",
        }
    }
}

pub(super) async fn serve(
    Path((version, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let asset = asset
        .ok_or_else(|| Problem::not_found("the page has no such file").with("field", "path"))?;
    // A page of another version gets what there is, and asks again next time.
    let cache = if version == *VERSION {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let etag = format!("\"{}\"", tag(asset.content));
    let known = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| one.trim().trim_start_matches("W/") == etag);
    let caching = [
        (header::CACHE_CONTROL, cache.to_owned()),
        (header::ETAG, etag),
    ];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    let content_type = [(header::CONTENT_TYPE, asset.content_type())];
    Ok((caching, content_type, asset.content).into_response())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everything_in_the_folder_is_embedded() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/page")).unwrap();
        let files: BTreeSet<_> = folder
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.ends_with(".txt"))
            .collect();
        let embedded: BTreeSet<_> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        assert_eq!(embedded, files);
    }
}
