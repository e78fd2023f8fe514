// Builds dist/: ES modules and CommonJS without comments, and the types, with comments, which both have.
import { execFileSync } from "node:child_process";
import { cpSync, rmSync, writeFileSync } from "node:fs";

const tsc = (...options) =>
  execFileSync(process.execPath, ["node_modules/typescript/bin/tsc", ...options], { stdio: "inherit" });

rmSync("dist", { recursive: true, force: true });
tsc("--emitDeclarationOnly");
cpSync("dist/esm", "dist/cjs", { recursive: true });
const code = ["--declaration", "false", "--removeComments"];
tsc(...code);
tsc("--project", "tsconfig.cjs.json", ...code);
writeFileSync("dist/cjs/package.json", '{"type":"commonjs"}\n');
