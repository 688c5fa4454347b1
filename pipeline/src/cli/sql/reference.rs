//! What every table, column and saved question means, as Markdown: docs/tables.md.

use super::super::{Exit, Failure};
use std::sync::Arc;
use treble_analyse::live::Live;
use treble_analyse::query::{Engine, Limits, QueryError, rows};
use treble_analyse::saved;

const HEAD: &str = "# Tables

<!-- Written by `treble sql --reference`; change stages/analyse/src/views.rs, the schemas of events or the saved questions instead. -->

What `treble sql` and every door of `treble serve` answer from ([how to ask](sql.md)). Times are UTC. A column that nobody knows the value
of is null.
";

/// Tables and views, each with one line about it.
pub(super) const TABLES: &str = "SELECT table_name, description FROM documentation WHERE column_name = ''";

/// The columns of `table`, their types as answers have them, and what they mean.
pub(super) fn columns_of(table: &str) -> String {
    let table = table.replace('\'', "''");
    format!(
        "SELECT c.column_name, replace(c.data_type, 'Utf8View', 'Utf8') AS data_type, d.description FROM information_schema.columns AS c \
         JOIN documentation AS d ON d.table_name = c.table_name AND d.column_name = c.column_name \
         WHERE c.table_name = '{table}' AND NOT (c.table_schema = 'public' AND c.table_name = 'freshness') \
         ORDER BY c.ordinal_position"
    )
}

/// The page.
pub(super) fn markdown() -> Result<String, Failure> {
    let system = |error: std::io::Error| Failure::new(Exit::Software, error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(system)?;
    runtime.block_on(page()).map_err(|error| super::failure(&error))
}

async fn page() -> Result<String, QueryError> {
    let live = Arc::new(Live::new(String::new(), Arc::new(|| 0)));
    let engine = Engine::new(live, Limits::default())?;
    let mut page = HEAD.to_owned();
    for table in rows(engine.ask(TABLES, None).await?).await? {
        let [name, summary] = &table[..] else { continue };
        page.push_str(&format!(
            "\n## {name}\n\n{summary}\n\n| column | type | meaning |\n| --- | --- | --- |\n"
        ));
        for column in rows(engine.ask(&columns_of(name), None).await?).await? {
            page.push_str(&format!("| {} |\n", column.join(" | ")));
        }
    }
    page.push_str(
        "\n## Saved questions\n\n`treble sql --saved NAME`\n\n| name | question |\n| --- | --- |\n",
    );
    for saved in saved::ALL {
        page.push_str(&format!("| {} | {} |\n", saved.name, saved.question));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_documentation_is_what_is_answered_from() {
        let kept = include_str!("../../../../docs/tables.md");
        assert!(kept == markdown().unwrap(), "write it anew: treble sql --reference > docs/tables.md");
    }
}
