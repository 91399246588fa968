// OHIF's settings: the PACS under the same origin. The shipped ones point at a public server.
window.config = {
  "routerBasename": null,
  "extensions": [],
  "modes": [],
  "showStudyList": true,
  "disableConfirmationPrompts": true,
  "maxNumberOfWebWorkers": 2,
  "showWarningMessageForCrossOrigin": false,
  "showCPUFallbackMessage": false,
  "investigationalUseDialog": {
    "option": "always"
  },
  "defaultDataSourceName": "pacs",
  "dataSources": [
    {
      "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
      "sourceName": "pacs",
      "configuration": {
        "friendlyName": "PACS1",
        "name": "pacs",
        "wadoUriRoot": "/dicom-web",
        "qidoRoot": "/dicom-web",
        "wadoRoot": "/dicom-web",
        "qidoSupportsIncludeField": false,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "enableStudyLazyLoad": true,
        "supportsFuzzyMatching": false,
        "supportsWildcard": true,
        "bulkDataURI": {
          "enabled": true,
          "relativeResolution": "studies"
        }
      }
    }
  ]
};
