/** Where the names of regions go, so that none hides another. */

const HEIGHT = 18;
const LETTER = 7.4;

/**
 * items: [{ text, boxes: [{ x, y, width, height }] }] in pixels of the screen; width, height: of the picture there.
 * Returns for each { text, x, y, width, height, crowded }; a crowded one overlaps others and is shown on demand alone.
 */
export function placeTags(items, width, height) {
  const taken = [];
  return items.map(({ text, boxes }) => {
    const size = { width: text.length * LETTER + 8, height: HEIGHT };
    const spots = boxes.flatMap((box) => around(box, size));
    const places = spots.map((at) => ({ ...size, ...inside(at, size, width, height) }));
    const free = places.find((place) => !taken.some((other) => meet(place, other)));
    if (free) taken.push(free);
    return { text, ...(free ?? places[0]), crowded: !free };
  });
}

const around = (box, size) => {
  const [right, below] = [box.x + box.width - size.width, box.y + box.height];
  return [
    { x: box.x, y: box.y - size.height }, { x: right, y: box.y - size.height },
    { x: box.x, y: below }, { x: right, y: below },
    { x: box.x - size.width, y: box.y }, { x: box.x + box.width, y: box.y },
  ];
};

const inside = ({ x, y }, size, width, height) => ({
  x: Math.min(Math.max(x, 0), width - size.width), y: Math.min(Math.max(y, 0), height - size.height),
});

const meet = (a, b) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
