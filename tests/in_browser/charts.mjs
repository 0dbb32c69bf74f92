// What the pages in the chat draw their charts with, of d3: scales and shapes, and nothing that touches a document.
export { scaleBand, scaleLinear, scalePoint } from 'd3-scale';
export { arc, area, curveMonotoneX, line, pie } from 'd3-shape';
