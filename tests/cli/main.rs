//! The binary as people use it, one file per verb. One test program: each would link the whole engine again.

mod against;
mod bad_input;
mod blocks;
mod common;
mod documents;
mod environment;
mod hosts;
mod kernels;
mod length;
mod list;
mod names;
mod outcomes;
mod pages;
mod profile;
mod program;
mod recommend;
mod run;
mod schemas;
mod serving;
mod substreams;
mod terminal;
mod views;
mod wasi;
mod written;
