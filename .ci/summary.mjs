// Names each failed test with its message, then prints what the test runner counted as one line: `N passed, N failed`. Fails if there is
// nothing to count.
import { readFileSync } from "node:fs";

const MESSAGE_CHARACTERS = 2_000;

const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const isFailed = ({ status }) => status === "failed";

// A file that could not even be loaded has no test to its name.
const failedFiles = testResults.filter(isFailed);
const brokenFiles = failedFiles.filter(({ assertionResults }) => !assertionResults.some(isFailed));

for (const { name, message } of brokenFiles) tell(name, [message]);
for (const { name, assertionResults } of failedFiles) {
  for (const { fullName, failureMessages } of assertionResults.filter(isFailed)) tell(`${name}: ${fullName}`, failureMessages);
}
console.log(`${numPassedTests} passed, ${numFailedTests + brokenFiles.length} failed`);
if (numPassedTests === 0) process.exitCode = 1;

function tell(name, messages) {
  console.log(`\nfailed: ${name}`);
  for (const message of messages) console.log(message.slice(0, MESSAGE_CHARACTERS));
}
