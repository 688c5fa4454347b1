// Binds queries with Microsoft's own parser, against a table that is described by the schema of log lines.
//
// Usage: node kusto.js MODULES SCHEMA FUNCTIONS QUERY…
//
//   MODULES    the folder that holds @kusto/language-service-next
//   SCHEMA     monitoring/logs/schema.json
//   FUNCTIONS  a folder of saved functions, one a file, named by it
//   QUERY      a file, or the path of a JSON file that ends in .json: names and texts of queries
//
// Prints a line of JSON for each query: {"name": …, "diagnostics": ["…"]}. A query's result is not asked for: no data is here.
'use strict';
const fs = require('fs');
const path = require('path');

const [modules, schemaFile, functions, ...queries] = process.argv.slice(2);
const room = path.join(path.resolve(modules), '@kusto/language-service-next');
require(path.join(room, 'bridge.min.js'));
require(path.join(room, 'Kusto.Language.Bridge.min.js'));
const { GlobalState, KustoCode } = Kusto.Language;
const { DatabaseSymbol, FunctionSymbol, ScalarTypes, TableSymbol } = Kusto.Language.Symbols;
const { BinaryExpression } = Kusto.Language.Syntax;

const fields = Object.entries(JSON.parse(fs.readFileSync(schemaFile, 'utf8')).properties);
const pascal = (name) => (name === 'time' ? 'TimeGenerated' : name.split('_').map((word) => word[0].toUpperCase() + word.slice(1)).join(''));
const kind = (field) => (field.format === 'date-time' ? 'datetime' : ({ integer: 'long', number: 'real', object: 'dynamic' }[field.type] ?? 'string'));
const table = (name, columns) => TableSymbol.From(`(${columns.map(([column, type]) => `['${column}']: ${type}`).join(', ')})`).WithName(name);
const saved = fs.readdirSync(functions).map((file) => {
  const text = fs.readFileSync(path.join(functions, file), 'utf8');
  // name, parameters, body
  return new FunctionSymbol.$ctor16(path.basename(file, '.kql'), '()', `{ ${text}\n }`);
});
const database = new DatabaseSymbol.ctor('logs', [
  table('TrebleLogs_CL', fields.map(([name, field]) => [pascal(name), kind(field)])),
  // What a data collection rule calls a line on its way there; its time is text still.
  table('source', fields.map(([name, field]) => [name, field.format === 'date-time' ? 'string' : kind(field)])),
  ...saved,
]);
const globals = GlobalState.Default.WithDatabase(database);

const isText = (type) => type === ScalarTypes.String;
const isNumber = (type) => [ScalarTypes.Long, ScalarTypes.Int, ScalarTypes.Real, ScalarTypes.Decimal].includes(type);

// Comparisons of a text with a number: the parser lets them pass, and the service refuses them.
function mixedComparisons(code) {
  const found = [];
  const walk = (node) => {
    if (Bridge.is(node, BinaryExpression)) {
      const [left, right] = [node.Left.ResultType, node.Right.ResultType];
      if ((isText(left) && isNumber(right)) || (isNumber(left) && isText(right))) {
        found.push({ Start: node.Operator.TextStart, Severity: 'Error', Message: 'A text is compared with a number.' });
      }
    }
    for (let at = 0; at < node.ChildCount; at++) {
      const child = node.GetChild(at);
      if (child) walk(child);
    }
  };
  walk(code.Syntax);
  return found;
}

const told = queries.flatMap((file) => {
  const text = fs.readFileSync(file, 'utf8');
  return file.endsWith('.json') ? Object.entries(JSON.parse(text)) : [[file, text]];
});
for (const [name, text] of told) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  const bound = code.GetDiagnostics();
  const found = [...Array(bound.Count).keys()].map((at) => bound.getItem(at)).concat(mixedComparisons(code));
  const diagnostics = found.map((one) => `line ${text.slice(0, one.Start).split('\n').length}: ${one.Severity}: ${one.Message}`);
  console.log(JSON.stringify({ name, diagnostics }));
}
