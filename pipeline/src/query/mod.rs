//! Doors onto the lake: SQL for analysts, over whatever their tools speak.
//!
//! Data flow: [`feed`], on the thread of [`supply`], keeps [`Live`](treble_analyse::live::Live) tables up to date from the lake and the topic → a door
//! lets a client in by its [`gate`] and hands its statement to [`service`], which asks the engine and counts → rows go back in the
//! door's protocol. Deliberately absent: what SQL means and what is refused, which is `treble_analyse::query`'s business.

pub mod feed;
pub mod flight;
pub mod gate;
pub mod http;
pub mod pg;
pub mod serve;
pub mod service;
pub mod supply;

#[cfg(test)]
mod tests;
