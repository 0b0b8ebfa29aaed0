import { expect } from "vitest";

/** Expects a command of the SDK to fail with an error of the service. */
export async function refused(sent: Promise<unknown>, name: string, status: number): Promise<void> {
  await expect(sent).rejects.toMatchObject({ name, $metadata: { httpStatusCode: status } });
}

/** Expects an answer with an error in XML, and returns the XML. */
export async function refusedAnswer(answer: Response, code: string, status: number): Promise<string> {
  const xml = await answer.text();
  expect([answer.status, /<Code>(\w+)<\/Code>/.exec(xml)?.[1]]).toEqual([status, code]);
  return xml;
}
