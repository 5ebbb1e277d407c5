use std::time::Duration;

use serde_json::json;
use stockade_catalog_core::CircuitConfig;
use storefront::Options;

use super::chromium::Screen;
use super::visit::Visit;

#[tokio::test(flavor = "multi_thread")]
async fn one_can_cut_inventory_and_watch_the_circuit() {
    let circuit = CircuitConfig::default()
        .with_open_after(Duration::from_secs(3))
        .with_close_below(Duration::from_secs(2));
    let options = Options {
        circuit,
        ..Options::default()
    };
    let Some(visit) = Visit::with(options, Screen::Desktop).await else {
        return;
    };
    visit.open("/p/kiln-mug").await;
    visit.click(".bottom button").await;
    visit.read("#circuit", "Closed").await;
    visit.read("#origin", "Cache").await;
    visit.click("label[for='cut']").await;
    visit.read("#circuit", "Open").await;
    visit.read("#origin", "Last known").await;
    visit.read("#origin", "s old").await;
    // The page lives on.
    visit.open("/p/kiln-mug").await;
    visit.read(".availability", "60 in stock").await;
    visit.click(".bottom button").await;
    visit
        .until(
            "the switch shows it",
            "document.querySelector('#cut').checked",
            true,
        )
        .await;
    visit.click("label[for='cut']").await;
    visit.read("#circuit", "Closed").await;
    visit.read("#origin", "Cache").await;
}

/// What a screen reader needs: landmarks, one heading of the first rank, and a name for
/// everything that can be used.
const UNNAMED: &str = "[...document.querySelectorAll('a[href], button, input, select, [role=img], svg:not([aria-hidden]), dialog, table')]
    .filter((one) => one.checkVisibility() && !one.ariaLabel && !one.getAttribute('aria-labelledby') && !one.labels?.length && !one.textContent.trim() && !one.caption)
    .map((one) => one.outerHTML.slice(0, 120))";
const LANDMARKS: &str = "['header', 'main', 'footer', '[role=search]', 'nav[aria-label]'].filter((one) => !document.querySelector(one))";
const TWICE: &str = "(() => { const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id); return ids.filter((id, at) => ids.indexOf(id) !== at); })()";
/// Text against what is behind it, by the formula of WCAG 2.
const FAINT: &str = "(() => {
    const probe = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const rgb = (colour) => { probe.clearRect(0, 0, 1, 1); probe.fillStyle = colour; probe.fillRect(0, 0, 1, 1); const [r, g, b, a] = probe.getImageData(0, 0, 1, 1).data; return { rgb: [r, g, b], a }; };
    const luminance = (all) => all.map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
    const behind = (node) => { for (let one = node; one; one = one.parentElement) { const { rgb: found, a } = rgb(getComputedStyle(one).backgroundColor); if (a > 200) return found; } return [255, 255, 255]; };
    const texts = [...document.querySelectorAll('body *')].filter((one) => one.checkVisibility() && !one.disabled && !one.closest('.unseen, svg, .skip') && [...one.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()));
    return texts.map((one) => { const style = getComputedStyle(one); const [a, b] = [luminance(rgb(style.color).rgb), luminance(behind(one))].sort((x, y) => y - x); return [one, (a + 0.05) / (b + 0.05), parseFloat(style.fontSize)]; })
      .filter(([, ratio, size]) => ratio < (size >= 24 ? 3 : 4.5)).map(([one, ratio]) => `${one.tagName}.${one.className} ${one.textContent.slice(0, 30)} ${ratio.toFixed(2)}`);
})()";

#[tokio::test(flavor = "multi_thread")]
async fn everything_has_a_role_a_name_and_enough_contrast() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    for (path, ready) in [
        ("/", ".card"),
        ("/?q=medow+tee&filter=brand%3AFernweh", ".chips button"),
        ("/?q=xqzwvk", ".state"),
        ("/p/meadow-tee", ".matrix"),
        ("/p/heron-floor-lamp", ".facts"),
        ("/p/not-there", ".state"),
    ] {
        visit.open(path).await;
        visit.see(ready).await;
        visit.click(".bottom button").await;
        visit.read("#hood tbody", "availability").await;
        // For colours that change slowly.
        tokio::time::sleep(Duration::from_millis(300)).await;
        for (what, expression) in [
            ("unnamed", UNNAMED),
            ("landmarks that lack", LANDMARKS),
            ("ids that are there twice", TWICE),
            ("too faint", FAINT),
        ] {
            let found = visit.evaluate(expression).await;
            assert_eq!(found, json!([]), "{what} at {path}");
        }
        let headings = "document.querySelectorAll('h1').length";
        visit.until("there is one heading", headings, 1).await;
    }
    let live = "document.querySelectorAll('[aria-live=polite]').length > 0 && document.querySelector('#said').textContent";
    visit.open("/?q=television").await;
    visit
        .until(
            "the count is said",
            &format!("({live}).includes('for television')"),
            true,
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_refused_by_the_policy_and_nothing_fails_in_the_scripts() {
    let Some(visit) = Visit::begin().await else {
        return;
    };
    visit.open("/").await;
    visit.see(".card").await;
    visit
        .evaluate("(() => { window.wrong = []; addEventListener('error', (e) => window.wrong.push(e.message)); addEventListener('unhandledrejection', (e) => window.wrong.push(String(e.reason))); addEventListener('securitypolicyviolation', (e) => window.wrong.push(e.violatedDirective)); })()")
        .await;
    visit.click(".card a").await;
    visit.see(".facts").await;
    visit.click(".thumbs button:last-child").await;
    visit.driver().back().await.unwrap();
    visit.see(".grid .card").await;
    visit.write("#q", "tea").await;
    visit.read("h1", "tea").await;
    visit
        .until("nothing was wrong", "window.wrong", json!([]))
        .await;
    // An inline script does not run.
    visit
        .evaluate("(() => { const one = document.createElement('div'); try { one.innerHTML = '<b>x</b>'; window.made = true; } catch { window.made = false; } })()")
        .await;
    visit
        .until("markup can't be made of text", "window.made", false)
        .await;
}
