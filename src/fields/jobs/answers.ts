/** Asks a question once for all records that name the same KEK versions. */
export class AnswersByNames {
  readonly #answers = new Map<string, Promise<boolean>>();

  /** @param names the KEK versions, in any order */
  async of(names: readonly string[], ask: () => Promise<boolean>): Promise<boolean> {
    const named = [...names].sort().join("\n");
    const answer = this.#answers.get(named) ?? ask();
    this.#answers.set(named, answer);
    return await answer;
  }
}
