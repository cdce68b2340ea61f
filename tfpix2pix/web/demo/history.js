// Undo and redo: whole states, as many as fit into a budget of bytes.
// @ts-check

/**
 * States, of which one is shown. What is in it must not be changed, but replaced.
 * @template State
 */
export class History {
  /** @param {State} first @param {(state: State) => number} bytesOf @param {number} [budget] Bytes. */
  constructor(first, bytesOf, budget = 200e6) {
    /** @type {State[]} */
    this.states = [first];
    this.place = 0;
    this.bytesOf = bytesOf;
    this.budget = budget;
  }

  /** What is shown. */
  get state() {
    return this.states[this.place];
  }

  get canUndo() {
    return this.place > 0;
  }

  get canRedo() {
    return this.place < this.states.length - 1;
  }

  /** Shows a new state; what had been undone is gone. @param {State} state */
  push(state) {
    this.states.splice(this.place + 1, Infinity, state);
    let bytes = 0;
    for (const each of this.states) bytes += this.bytesOf(each);
    // The oldest go first; what is shown and the one before it stay.
    while (bytes > this.budget && this.states.length > 2) {
      bytes -= this.bytesOf(/** @type {State} */ (this.states.shift()));
    }
    this.place = this.states.length - 1;
  }

  /** @returns {boolean} Whether there was anything to undo. */
  undo() {
    if (!this.canUndo) return false;
    this.place--;
    return true;
  }

  /** @returns {boolean} Whether there was anything to redo. */
  redo() {
    if (!this.canRedo) return false;
    this.place++;
    return true;
  }
}
