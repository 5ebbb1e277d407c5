//! The page, by clicks in headless Chromium.
//!
//! Where there is no chromedriver these tests are skipped, and say so; with
//! `STOCKADE_REQUIRE_CHROMIUM` set they fail instead.

mod chromium;
mod looking;
mod pictures;
mod reserving;
mod searching;
mod visit;
mod window;

pub(crate) use self::chromium::Screen;
pub(crate) use self::window::Window;
