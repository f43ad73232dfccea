// A view is a function from data to elements. `show` makes the document equal to them and keeps what did not change, so that focus,
// scroll positions and the reading of a screen reader survive ten updates a second.

const SVG = 'http://www.w3.org/2000/svg';
const SVG_TAGS = new Set(['svg', 'path', 'rect', 'circle', 'line', 'g']);
const HANDLERS = ['onclick', 'onchange', 'oninput', 'onsubmit', 'onclose', 'onkeydown', 'ondrop', 'ondragover'];

/**
 * @typedef {Node | string | number | null | undefined | false} Leaf
 * @typedef {Leaf | Leaf[] | (Leaf | Leaf[])[]} Child
 */

/**
 * An element. Text is never read as HTML.
 * @param {string} tag Its name, with classes behind dots: `button.primary`.
 * @param {Record<string, any> | null} [props] Attributes; `on...` are handlers, `key` tells equal siblings apart, names that begin with
 * `--` are custom properties of its style. False, null and undefined leave an attribute out.
 * @param {...Child} children Null, undefined and false are left out.
 * @returns {any}
 */
export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split('.');
  const element = SVG_TAGS.has(name) ? document.createElementNS(SVG, name) : document.createElement(name);
  if (classes.length > 0) element.setAttribute('class', classes.join(' '));
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key === 'value') valued.add(element);
    if (key.startsWith('on') || key === 'value' || key === 'checked') /** @type {any} */ (element)[key] = value;
    else if (key.startsWith('--')) element.style.setProperty(key, String(value));
    else element.setAttribute(key === 'key' ? 'data-key' : key, value === true ? '' : String(value));
  }
  element.append(.../** @type {Node[]} */ (children.flat(3).filter(child => child !== null && child !== undefined && child !== false)
    .map(child => typeof child === 'number' ? String(child) : child)));
  return element;
}

/**
 * Makes the children of an element equal to these.
 * @param {Element} root
 * @param {...Child} children
 */
export function show(root, ...children) {
  const next = /** @type {Element} */ (root.cloneNode(false));
  next.append(.../** @type {Node[]} */ (children.flat(3).filter(child => child)));
  patchChildren(root, next);
}

/** @param {any} old @param {any} next */
function patch(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !(name === 'open' && old.nodeName === 'DIALOG')) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (name !== 'style' && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  // The page's policy forbids the attribute, which HTML from outside could carry, and allows this.
  if (old.style.cssText !== next.style.cssText) old.style.cssText = next.style.cssText;
  for (const handler of HANDLERS) old[handler] = next[handler];
  patchChildren(old, next);
  // What a person is typing stays, and so does what was typed into a field that the view gives no value.
  if ((valued.has(next) || next.nodeName === 'SELECT') && old.value !== next.value && old !== document.activeElement) old.value = next.value;
  if ('checked' in next && old.checked !== next.checked) old.checked = next.checked;
}

/** @param {Element} old @param {Element} next */
function patchChildren(old, next) {
  const keyed = new Map([...old.children].filter(child => keyOf(child)).map(child => [keyOf(child), child]));
  /** @type {ChildNode | null} */
  let place = old.firstChild;
  for (const child of [...next.childNodes]) {
    const key = keyOf(child);
    while (place && !key && keyOf(place)) place = place.nextSibling;
    /** @type {ChildNode | null | undefined} */
    let same = key ? keyed.get(key) : place;
    while (same && !key && !isSame(same, child)) same = same.nextSibling;
    if (same && isSame(same, child)) {
      if (!key || same === place) place = same.nextSibling;
      else old.insertBefore(same, place);
      patch(same, child);
      keyed.delete(key);
      seen.add(same);
    } else {
      old.insertBefore(child, place);
      seen.add(child);
    }
  }
  for (const child of [...old.childNodes]) {
    if (!seen.has(child)) child.remove();
    seen.delete(child);
  }
}

/**
 * A button stays itself, and so does what its class names: a press that was meant for one never reaches the next, when a line comes or goes above.
 * @param {any} old
 * @param {any} next
 */
function isSame(old, next) {
  if (old.nodeName !== next.nodeName || keyOf(old) !== keyOf(next)) return false;
  if (keyOf(next) || old.nodeType === Node.TEXT_NODE) return true;
  return next.nodeName === 'BUTTON' ? old.textContent === next.textContent : old.classList[0] === next.classList[0];
}

/** @type {Set<Node>} */
const seen = new Set();

/** Elements whose view gives their value. @type {WeakSet<Node>} */
const valued = new WeakSet();

/** @param {any} node */
function keyOf(node) {
  return node.dataset?.key ?? '';
}
