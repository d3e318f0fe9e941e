//! What other rooms add to a run's page, and the same as a page by itself.

use maud::{Markup, html};

use super::{figure, sentence, shell, text};
use crate::present::appendix::{Part, Topic};

/// A section of the page. Absent where there is none.
pub fn section(topic: Option<&Topic>) -> Markup {
    let Some(topic) = topic else { return html! {} };
    html! {
        section id=(topic.id) {
            h2 { (topic.title) }
            p.notes { (sentence(&topic.about)) }
            (parts(topic, &format!("{}/", topic.folder)))
        }
    }
}

/// A page of it alone, which lies in its folder.
pub fn page(topic: &Topic) -> String {
    let head = html! { header { h1 { (topic.title) } p.meta { (sentence(&topic.about)) } } };
    let main = html! { section id=(topic.id) { (parts(topic, "")) } };
    shell(topic.title, "Skip to the figures", &head, &main)
}

fn parts(topic: &Topic, folder: &str) -> Markup {
    html! {
        @for warning in &topic.warnings { p.warning { (sentence(warning)) } }
        @for part in &topic.parts {
            h3 { (text(&part.title)) }
            @for drawn in &part.figures { (figure(drawn)) }
            @if !part.sentences.is_empty() { ul.notes { @for words in &part.sentences { li { (sentence(words)) } } } }
            (files(part, folder))
            dl { @for (name, value) in &part.facts { dt { (name) } dd { (text(value)) } } }
        }
    }
}

/// Links to the files of each strategy.
fn files(part: &Part, folder: &str) -> Markup {
    html! {
        @if !part.links.is_empty() {
            ul.notes {
                @for (strategy, links) in &part.links {
                    li {
                        "Stacks of " code { (text(strategy)) } ": "
                        @for (i, link) in links.iter().enumerate() {
                            @if i > 0 { ", " }
                            a href=(format!("{folder}{}", link.path)) { (text(&link.what)) }
                        }
                        "."
                    }
                }
            }
        }
    }
}
