// The page's own address tells where the document is; without a validator nothing is asked of another host.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null,
});
