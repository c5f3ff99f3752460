"""
The description of the API (OpenAPI 3.1) and the page that shows it.

`operations` says of every route what its code cannot: scope, parameters, answers and errors. `answers` are the shapes
of what is sent, `examples` a story told in requests; `document` puts all of it together, `page` renders that. Nothing
here is loaded before somebody asks for it.
"""
