import "./trusted";
