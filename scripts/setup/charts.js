// What the dashboard uses of Apache ECharts; set-up bundles this into static/vendor/echarts.min.js.
// A chart that needs another part names it here: without it the part is left out, silently.
import * as echarts from "echarts/core";
import { CustomChart, LineChart } from "echarts/charts";
import { AxisPointerComponent, GraphicComponent, GridComponent, MarkLineComponent, TooltipComponent } from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";

echarts.use([
  CustomChart, LineChart, AxisPointerComponent, GraphicComponent, GridComponent, MarkLineComponent, TooltipComponent,
  CanvasRenderer,
]);

export const { init, getInstanceByDom } = echarts;
