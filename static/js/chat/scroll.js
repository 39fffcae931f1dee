/* Where the reader is. The page follows new words only while the reader is at the end, and only until the
beginning of the reply would leave the top of the window: nobody is pulled along faster than they read. */
import { reducedMotion } from "./page.js";

const NEAR_END = 64;
const TOP_MARGIN = 12;

export class Scroll {
  constructor(place, list, pill) {
    this.place = place;
    this.list = list;
    this.pill = pill;
    this.isFollowing = true;
    this.anchor = null;
    this.lastTop = place.scrollTop;
    place.addEventListener("scroll", () => this.moved(), { passive: true });
    pill.addEventListener("click", () => this.toEnd({ isSmooth: true, isWanted: true }));
    new ResizeObserver(() => this.isFollowing && this.toEnd()).observe(place);
    this.toEnd();
  }

  get distance() {
    return this.place.scrollHeight - this.place.scrollTop - this.place.clientHeight;
  }

  moved() {
    const top = this.place.scrollTop;
    const isNearEnd = this.distance < NEAR_END;
    if (isNearEnd) this.pill.hidden = true;
    // Our own scrolling is not the reader's.
    if (Math.abs(top - this.lastTop) < 2) return;
    const wentUp = top < this.lastTop;
    this.lastTop = top;
    if (wentUp) this.isFollowing = false;
    else if (isNearEnd) {
      this.isFollowing = true;
      this.anchor = null;
    }
  }

  /** Words were added at the end. `element` is the reply they belong to. */
  grew(element) {
    if (!this.isFollowing) {
      this.pill.hidden = this.distance < NEAR_END;
      return;
    }
    const room = element ? element.getBoundingClientRect().top - this.place.getBoundingClientRect().top - TOP_MARGIN : Infinity;
    const wanted = this.distance;
    if (this.anchor !== element || wanted <= room) {
      this.setTop(this.place.scrollTop + wanted);
      return;
    }
    if (room > 0) this.setTop(this.place.scrollTop + room);
    this.isFollowing = false;
    this.pill.hidden = this.distance < NEAR_END;
  }

  /** From here on `element` may not be pushed out of sight by its own words. */
  hold(element) {
    this.anchor = element;
  }

  toEnd({ isSmooth = false, isWanted = false } = {}) {
    this.isFollowing = true;
    this.pill.hidden = true;
    // Who asks for the end wants to stay there.
    if (isWanted) this.anchor = null;
    const behavior = isSmooth && !reducedMotion() ? "smooth" : "instant";
    this.place.scrollTo({ top: this.place.scrollHeight, behavior });
    if (behavior === "instant") this.lastTop = this.place.scrollTop;
  }

  setTop(top) {
    this.place.scrollTop = top;
    this.lastTop = this.place.scrollTop;
  }

  /** Runs `change`, and keeps what the reader looks at where it was. */
  keeping(change) {
    const edge = this.place.getBoundingClientRect().top;
    const seen = [...this.list.children].find((child) => child.getBoundingClientRect().bottom > edge + 1 && child.id);
    const before = seen?.getBoundingClientRect().top;
    change();
    if (seen?.isConnected) this.setTop(this.place.scrollTop + seen.getBoundingClientRect().top - before);
  }
}
