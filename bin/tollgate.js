#!/usr/bin/env node
// Plain JavaScript that any Node can parse: an older one must be told what it lacks, in one line,
// before it meets the TypeScript sources that only a newer one runs.
const required = 24;
const major = Number(process.versions.node.split('.')[0]);
if (major < required) {
  console.error(
    `Tollgate needs Node ${required} or newer and this is ${process.version}: run "npm ci && npm start", which brings the right one along.`,
  );
  process.exit(1);
}
await import('../src/main.ts');
