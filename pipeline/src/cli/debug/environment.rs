//! The variables that speak to Treble: their names, and the values of those that may be shown.

use crate::config::{Catalogue, Surroundings, keys, shown};
use serde_json::{Map, Value, json};

/// Each variable with what it sets. A value is told where it is that of a key, and of one that is no secret; nobody knows what
/// others hold.
pub(super) fn document(surroundings: &Surroundings, catalogue: &Catalogue) -> Value {
    let ours = surroundings.variables.iter().filter(|(name, _)| name.starts_with(keys::ENVIRONMENT_PREFIX));
    let entry = |(name, value): &(String, String)| {
        let key = catalogue.of_variable(name);
        let told = key.as_deref().map(|key| shown(key, &toml::Value::String(value.clone())));
        (name.clone(), json!({ "key": key, "value": told }))
    };
    Value::Object(ours.map(entry).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_of_keys_that_are_no_secret_are_told() {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let variables = vec![
            variable("TREBLE_REGISTRY_PASSWORD", "hunter2"),
            variable("TREBLE_PREFIX", "p"),
            variable("TREBLE_OTHER", "hunter3"),
            variable("HOME", "/home/ada"),
        ];
        let surroundings = Surroundings { variables, ..Surroundings::default() };
        let document = document(&surroundings, Catalogue::standard());
        assert_eq!(document["TREBLE_REGISTRY_PASSWORD"]["value"], "\"***\"");
        assert_eq!(document["TREBLE_PREFIX"], json!({ "key": "prefix", "value": "\"p\"" }));
        assert_eq!(document["TREBLE_OTHER"], json!({ "key": null, "value": null }));
        assert_eq!(document.as_object().unwrap().len(), 3);
    }
}
