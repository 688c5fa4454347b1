//! Placeholder head, replaced by its module.
