import { check, failsWith } from "../../src/core/contracts/conformance-checks.ts";
import { type Bench, type Case, failsUncalled, newDataKey, opensTo, unwrap, wrap } from "./checks.ts";
import type { ConformanceHarness, WrongAnswer } from "./harness.ts";

/** Cases of what a service answers, and of what stands around it: its credentials, its names and its care for the context. */
export function answerCases({
  wrongAnswers = {},
  ignoreContext,
  endCredentials,
  otherSpellings,
  openByMovableName,
}: ConformanceHarness): readonly Case[] {
  return [
    ...Object.entries(wrongAnswers).map(([what, answer]) => ({
      name: `an answer to ${answer.to} that ${what} is refused`,
      run: (bench: Bench) => refusesAnswer(bench, what, answer),
    })),
    ...(ignoreContext === undefined
      ? []
      : [
          {
            name: "a service that ignores the context gets no data key",
            run: (bench: Bench) => noticesIgnoredContext(bench, ignoreContext),
          },
        ]),
    ...(endCredentials === undefined
      ? []
      : [
          {
            name: "credentials that end between two calls are replaced",
            run: (bench: Bench) => replacesCredentials(bench, endCredentials),
          },
        ]),
    ...(otherSpellings === undefined
      ? []
      : [{ name: "another spelling of the key id is not owned", run: (bench: Bench) => ownsOneSpelling(bench, otherSpellings) }]),
    ...(openByMovableName === undefined
      ? []
      : [{ name: "a name that can be moved is refused", run: () => refusesMovableName(openByMovableName) }]),
  ];
}

async function refusesAnswer({ open }: Bench, what: string, { to, code = "provider-failure", arrange }: WrongAnswer): Promise<void> {
  const provider = await open();
  const dek = newDataKey();
  const recipient = await wrap(provider, dek);
  await opensTo(dek, provider, recipient, "unwrap before the wrong answer");
  await arrange();
  await failsWith(code, () => (to === "wrap" ? wrap(provider, newDataKey()) : unwrap(provider, recipient)), `${to} whose answer ${what}`);
  await opensTo(dek, provider, await wrap(provider, dek), "wrap after the wrong answer");
}

async function noticesIgnoredContext({ open }: Bench, ignoreContext: NonNullable<ConformanceHarness["ignoreContext"]>): Promise<void> {
  const restore = await ignoreContext();
  try {
    const provider = await open();
    await failsWith("provider-failure", () => wrap(provider, newDataKey()), "the first wrap at a service that ignores the context");
  } finally {
    restore();
  }
  const provider = await open();
  const dek = newDataKey();
  await opensTo(dek, provider, await wrap(provider, dek), "wrap at a service that binds the context again");
}

async function replacesCredentials({ open }: Bench, endCredentials: NonNullable<ConformanceHarness["endCredentials"]>): Promise<void> {
  const provider = await open();
  const dek = newDataKey();
  const recipient = await wrap(provider, dek);
  await endCredentials();
  await opensTo(dek, provider, recipient, "unwrap after the credentials have ended");
  await endCredentials();
  await opensTo(dek, provider, await wrap(provider, dek), "wrap after the credentials have ended");
}

async function ownsOneSpelling(bench: Bench, otherSpellings: NonNullable<ConformanceHarness["otherSpellings"]>): Promise<void> {
  const provider = await bench.open();
  const recipient = await wrap(provider, newDataKey());
  const spellings = otherSpellings(recipient.keyId);
  check(spellings.length > 0 && !spellings.includes(recipient.keyId), "a harness must give other spellings than the key id's own");
  for (const keyId of spellings) {
    check(provider.owns(keyId) === false, `owns must be false for ${JSON.stringify(keyId)}, another spelling of the same key`);
    await failsUncalled("unwrap-rejected", bench, () => unwrap(provider, { ...recipient, keyId }), `unwrap for ${JSON.stringify(keyId)}`);
  }
}

async function refusesMovableName(open: NonNullable<ConformanceHarness["openByMovableName"]>): Promise<void> {
  await failsWith("invalid-argument", async () => await (await open()).close?.(), "opening a key by a name that can be moved");
}
