// Prints what the test runner counted as one line: `N passed, N failed`. Fails if there is nothing to count.
import { readFileSync } from "node:fs";

const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(process.argv[2], "utf8"));

// A file that could not even be loaded has no test to its name.
const brokenFiles = testResults.filter(({ status, assertionResults }) => status === "failed" && !assertionResults.some((test) => test.status === "failed"));

console.log(`${numPassedTests} passed, ${numFailedTests + brokenFiles.length} failed`);
if (numPassedTests === 0) process.exitCode = 1;
