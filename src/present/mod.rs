//! Presentation: what people see of a run.
//!
//! The input is a [`Summary`](crate::analyse::summary::Summary) and, for what changes over time, the raw rows; the
//! output is text and pictures. Nothing here measures, decides or computes a statistic.
//!
//! - [`view`] holds the rule that a reset which was not observed to be equivalent has no figures; tables and figures
//!   see cells only through it. [`crate::prose`] makes foreign text safe to write.
//! - [`crate::units`] turns base units into text, [`palette`] turns strategies into colours and markers.
//! - [`columns`] decides what a table holds. [`table`] writes the terminal's tables, [`markdown`] those of a README.
//! - [`figures`] draws: one file per figure, each drawn once for SVG and PNG alike.
//! - A [`book`] holds all that there is of a run, its figures drawn. [`html`] and [`markdown`] make pages of it, and
//!   [`report`] writes everything into a folder.
//!
//! The same input gives the same bytes: no clock, no random identifiers, no iteration over hash maps.

pub mod appendix;
pub mod book;
pub mod columns;
pub mod fields;
pub mod figures;
pub mod growth;
pub mod html;
pub mod landscape;
pub mod markdown;
pub mod palette;
pub mod policies;
pub mod report;
pub mod serving;
pub mod table;
pub mod view;

#[cfg(test)]
pub(crate) mod fixture;
