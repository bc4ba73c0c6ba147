// node validate.js FILE…: validates FHIR R4 resources, one in a .json file or one a line in
// an .ndjson file, and every resource of a Bundle on its own. What a resource has that R4
// does not know is an error; codes of systems the validator does not have are not.
// Exit code 1: something does not validate; it says what, without values.
const { Fhir } = require('fhir');
const fs = require('fs');

const validator = new Fhir();
let checked = 0, bad = 0;

function check(text, name) {
  const said = validator.validate(JSON.parse(text), { errorOnUnexpected: true });
  const errors = said.messages.filter((m) => m.severity === 'error' || m.severity === 'fatal');
  checked++;
  if (!said.valid || errors.length > 0) {
    bad++;
    for (const m of errors) console.log(`${name}: ${m.location}: ${m.message}`);
  }
}

for (const file of process.argv.slice(2)) {
  const text = fs.readFileSync(file, 'utf8');
  if (file.endsWith('.ndjson')) {
    text.trim().split('\n').forEach((line, n) => check(line, `${file}:${n + 1}`));
    continue;
  }
  check(text, file);
  const resource = JSON.parse(text);
  if (resource.resourceType === 'Bundle') {
    resource.entry.forEach((e, n) => check(JSON.stringify(e.resource), `${file} entry ${n} ${e.resource.resourceType}`));
  }
}
console.log(`${checked} resources, ${bad} do not validate`);
process.exit(checked > 0 && bad === 0 ? 0 : 1);
