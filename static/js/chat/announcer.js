/* What a screen reader hears of a reply: sentences as they are finished, not letters. */
const SENTENCE = /[^]*?[.!?…。！？](?:["”’')\]*_]*)(?=\s)|[^]*?\n/y;
const MARKS = /[*_`#>~]+/g;
const AT_LEAST = 60;
const KEPT_LINES = 8;

export class Announcer {
  constructor(place) {
    this.place = place;
    this.rest = "";
  }

  say(text) {
    const line = document.createElement("p");
    line.textContent = text;
    this.place.append(line);
    while (this.place.childElementCount > KEPT_LINES) this.place.firstElementChild.remove();
  }

  begin(text) {
    this.rest = "";
    this.say(text);
  }

  /** More of the reply; whole sentences are said once there is something to say. */
  add(text) {
    this.rest += text;
    if (this.rest.length < AT_LEAST) return;
    let end = 0;
    SENTENCE.lastIndex = 0;
    while (SENTENCE.test(this.rest)) end = SENTENCE.lastIndex;
    if (end < AT_LEAST / 2) return;
    this.speak(this.rest.slice(0, end));
    this.rest = this.rest.slice(end);
  }

  end(text) {
    this.speak(this.rest);
    this.rest = "";
    if (text) this.say(text);
  }

  speak(text) {
    const plain = text.replace(MARKS, "").replace(/\s+/g, " ").trim();
    if (plain) this.say(plain);
  }
}
