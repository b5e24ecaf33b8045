import { View } from '../view.ts';

class MeasureView extends View {}
customElements.define('view-measure', MeasureView);
