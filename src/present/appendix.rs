//! A section of a report that another room writes: its words, figures and links. What it is about, this room does not know.

use std::fmt::Debug;

use super::figures::Figure;
use super::palette::Palette;

/// What has a section to add to a run's report.
pub trait Appendix: Debug {
    /// Strategies that its figures name.
    fn strategies(&self) -> Vec<&str>;

    /// The section, its figures drawn in these colours.
    fn topic(&self, palette: &Palette) -> Topic;
}

/// A section.
#[derive(Debug)]
pub struct Topic {
    /// Its name in links.
    pub id: &'static str,
    pub title: &'static str,
    /// The folder of its files, from that of the run.
    pub folder: &'static str,
    /// How to read it; here and in all sentences, with backticks around code.
    pub about: String,
    /// What a reader has to know first.
    pub warnings: Vec<String>,
    pub parts: Vec<Part>,
}

/// One workload of it.
#[derive(Debug)]
pub struct Part {
    pub title: String,
    /// Its part of the names of files.
    pub slug: String,
    pub figures: Vec<Figure>,
    pub sentences: Vec<String>,
    /// Files, by the strategy that they are of.
    pub links: Vec<(String, Vec<Link>)>,
    /// Names and values.
    pub facts: Vec<(&'static str, String)>,
}

/// A file beside the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// From the folder of the topic.
    pub path: String,
    /// What is in it.
    pub what: String,
}
