// Waste: its choices take effect when they are made; everything else is on the page already.
import { submitting } from "./finder.js";

submitting();
