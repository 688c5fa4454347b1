//! How far consumer groups are behind, any group of the cluster: in records, in seconds, and what that means.
//!
//! Data flow: a [`cluster::Cluster`] gives facts → [`collector`] keeps a [`window`] for each position and asks for the
//! records that it must date → [`report`] for tables, JSON and metrics. [`status`] and [`history`] are pure functions of
//! what was seen. Positions are read without waiting for open transactions, ends are last stable offsets: a record of an
//! open or an aborted transaction is nothing that anybody is late with. [`dead_letters`] counts what waits on the topic of dead letters.
//!
//! Deliberately absent: the client's own statistics, which stand still where a producer commits the positions.

pub mod cluster;
pub mod collector;
pub mod dead_letters;
pub mod history;
pub mod report;
pub mod status;
pub mod window;
