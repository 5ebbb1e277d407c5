//! The storefront as a front of the two services, all of them as processes over real servers.

mod browser;
mod processes;
mod site;
mod story;
mod trouble;
