const LANGUAGES = ["en", "pt", "es"];

/** Every text of the page, in the order of LANGUAGES. `{name}` is replaced by a value. */
const MESSAGES = {
  "page.title": ["Usage", "Utilização", "Consumo"],
  "page.skip": ["Skip to the usage", "Ir para a utilização", "Ir al consumo"],
  "state.loading": ["Loading usage…", "A carregar a utilização…", "Cargando el consumo…"],
  "state.updated": [
    "Usage of {month} is up to date.",
    "A utilização de {month} está atualizada.",
    "El consumo de {month} está actualizado.",
  ],
  "status.open": ["Open", "Em curso", "En curso"],
  "status.closing": ["Closing", "A fechar", "En cierre"],
  "status.invoiced": ["Invoiced", "Faturado", "Facturado"],
  "payment.credit_card": ["Paid by card", "Pagamento por cartão", "Pago con tarjeta"],
  "payment.invoice": ["Paid by invoice", "Pagamento por fatura", "Pago por factura"],
  "head.period": ["Period", "Período", "Período"],
  "head.current": ["Current", "Atual", "Actual"],
  "head.refresh": ["Refresh now", "Atualizar agora", "Actualizar ahora"],
  "head.download": [
    "Download usage pricing",
    "Transferir preços de utilização",
    "Descargar precios de consumo",
  ],
  "head.downloaded": [
    "Usage pricing was downloaded.",
    "Os preços de utilização foram transferidos.",
    "Se han descargado los precios de consumo.",
  ],
  "head.notDownloaded": [
    "Usage pricing could not be downloaded. {reason}",
    "Não foi possível transferir os preços de utilização. {reason}",
    "No se han podido descargar los precios de consumo. {reason}",
  ],
  "head.asOf": ["Numbers true up to", "Valores certos até", "Cifras al día hasta"],
  "head.lastEvent": ["last usage", "última utilização", "último consumo"],
  "head.zone": ["Time zone: {zone}", "Fuso horário: {zone}", "Zona horaria: {zone}"],
  "closing.notice": [
    "The invoice of {month} is still being issued. Late usage can still change these numbers.",
    "A fatura de {month} ainda está a ser emitida. Utilização tardia ainda pode alterar estes valores.",
    "La factura de {month} todavía se está emitiendo. El consumo tardío aún puede cambiar estas cifras.",
  ],
  "closing.show": ["Show {month}", "Mostrar {month}", "Ver {month}"],
  "pool.contactCenterServices": [
    "Contact center services",
    "Serviços de contact center",
    "Servicios de contact center",
  ],
  "pool.explained": [
    "Credit shared by the products included in it",
    "Crédito partilhado pelos produtos nele incluídos",
    "Crédito compartido por los productos incluidos en él",
  ],
  "pool.balance": ["Current balance", "Saldo atual", "Saldo actual"],
  "pool.balanceAtIssue": ["Balance at issue", "Saldo na emissão", "Saldo en la emisión"],
  "pool.toBeInvoiced": ["To be invoiced", "A faturar", "Por facturar"],
  "balance.creditLeft": ["credit left", "crédito disponível", "crédito disponible"],
  "balance.toBeInvoiced": ["to be invoiced", "a faturar", "por facturar"],
  "balance.invoiced": ["invoiced", "faturado", "facturado"],
  "credits.title": ["Credit left by kind", "Crédito disponível por tipo", "Crédito disponible por tipo"],
  "credits.committed": ["Committed", "Contratado", "Comprometido"],
  "credits.purchased": ["Purchased", "Comprado", "Comprado"],
  "credits.promotional": ["Promotional", "Promocional", "Promocional"],
  "commit.title": ["Committed credit", "Crédito contratado", "Crédito comprometido"],
  "commit.period": [
    "Committed credit period",
    "Período do crédito contratado",
    "Período del crédito comprometido",
  ],
  "commit.notPurchased": ["Not purchased", "Não contratado", "No contratado"],
  "commit.notAvailable": ["Not available", "Não disponível", "No disponible"],
  "commit.notAvailableShort": ["N/A", "N/D", "N/D"],
  "frequency.monthly": ["monthly", "mensal", "mensual"],
  "frequency.quarterly": ["quarterly", "trimestral", "trimestral"],
  "frequency.semiannual": ["every six months", "semestral", "semestral"],
  "frequency.annual": ["annual", "anual", "anual"],
  "recharge.last": ["Last", "Última", "Última"],
  "recharge.next": ["Next", "Próxima", "Próxima"],
  "recharge.none": ["none", "nenhuma", "ninguna"],
  "warning.list": ["Warnings", "Avisos", "Avisos"],
  "warning.dismiss": ["Dismiss", "Dispensar", "Descartar"],
  "warning.dismissNamed": ["Dismiss: {message}", "Dispensar: {message}", "Descartar: {message}"],
  "warning.notDismissed": [
    "The warning could not be dismissed. {reason}",
    "Não foi possível dispensar o aviso. {reason}",
    "No se ha podido descartar el aviso. {reason}",
  ],
  "products.title": ["Usage per product", "Utilização por produto", "Consumo por producto"],
  "products.emptyTitle": ["No usage in {month}", "Sem utilização em {month}", "Sin consumo en {month}"],
  "products.empty": [
    "As soon as a product is used it appears here, with its free units and its balance.",
    "Assim que um produto for utilizado, aparece aqui com as suas unidades grátis e o seu saldo.",
    "En cuanto se use un producto aparecerá aquí, con sus unidades gratuitas y su saldo.",
  ],
  "products.emptyPast": [
    "Nothing was used in this period.",
    "Nada foi utilizado neste período.",
    "No se usó nada en este período.",
  ],
  "column.product": ["Product", "Produto", "Producto"],
  "column.quantity": ["Quantity", "Quantidade", "Cantidad"],
  "column.freeUnits": ["Free units", "Unidades grátis", "Unidades gratuitas"],
  "column.amount": ["Total usage", "Utilização total", "Consumo total"],
  "column.balance": ["Balance", "Saldo", "Saldo"],
  "column.commit": ["Committed credit", "Crédito contratado", "Crédito comprometido"],
  "column.commitPeriod": [
    "Committed credit period",
    "Período do crédito contratado",
    "Período del crédito comprometido",
  ],
  "column.freeUnitsUsed": ["Free units used", "Unidades grátis usadas", "Unidades gratuitas usadas"],
  "column.creditsApplied": ["Paid by credit", "Pago com crédito", "Pagado con crédito"],
  "quantity.billed": ["{quantity} billed", "{quantity} faturáveis", "{quantity} facturables"],
  "quantity.peak": ["peak on {day}", "pico em {day}", "pico el {day}"],
  "freeUnits.none": ["None included", "Nenhuma incluída", "Ninguna incluida"],
  "freeUnits.of": [
    "Free units of {product}",
    "Unidades grátis de {product}",
    "Unidades gratuitas de {product}",
  ],
  "freeUnits.left": [
    "{remaining} of {included} left",
    "restam {remaining} de {included}",
    "quedan {remaining} de {included}",
  ],
  "freeUnits.exhausted": ["All of {included} used", "{included} esgotadas", "{included} agotadas"],
  "amount.fromCredit": ["{amount} from credit", "{amount} do crédito", "{amount} del crédito"],
  "invoices.title": ["Past invoices", "Faturas anteriores", "Facturas anteriores"],
  "invoices.none": [
    "No invoice has been issued yet. The first one comes when this month is over.",
    "Ainda não foi emitida nenhuma fatura. A primeira chega quando este mês terminar.",
    "Todavía no se ha emitido ninguna factura. La primera llega cuando termine este mes.",
  ],
  "invoices.period": ["Period", "Período", "Período"],
  "invoices.older": ["Show older invoices", "Mostrar faturas mais antigas", "Ver facturas más antiguas"],
  "invoice.title": ["Invoice of {month}", "Fatura de {month}", "Factura de {month}"],
  "invoice.total": ["Total", "Total", "Total"],
  "invoice.issued": ["Issued", "Emissão", "Emisión"],
  "invoice.number": ["Invoice", "Fatura", "Factura"],
  "invoice.showUsage": [
    "Show the usage of {month}",
    "Mostrar a utilização de {month}",
    "Ver el consumo de {month}",
  ],
  "invoice.close": ["Close", "Fechar", "Cerrar"],
  "problem.retry": ["Try again", "Tentar de novo", "Reintentar"],
  "problem.request": ["request {id}", "pedido {id}", "petición {id}"],
  "problem.unreachable": [
    "The service did not answer. Check the connection.",
    "O serviço não respondeu. Verifique a ligação.",
    "El servicio no ha respondido. Compruebe la conexión.",
  ],
  "problem.unreadable": [
    "The service's answer could not be read.",
    "Não foi possível ler a resposta do serviço.",
    "No se ha podido leer la respuesta del servicio.",
  ],
  "problem.stale": [
    "The numbers shown are from {time}. {reason}",
    "Os valores mostrados são de {time}. {reason}",
    "Las cifras mostradas son de {time}. {reason}",
  ],
  "problem.usage": [
    "The usage could not be loaded",
    "Não foi possível carregar a utilização",
    "No se ha podido cargar el consumo",
  ],
  "problem.invoices": [
    "The invoices could not be loaded",
    "Não foi possível carregar as faturas",
    "No se han podido cargar las facturas",
  ],
  "problem.status": [
    "The service answered with status {status}.",
    "O serviço respondeu com o estado {status}.",
    "El servicio ha respondido con el estado {status}.",
  ],
  "signedOut.title": ["You are signed out", "Não tem sessão iniciada", "No ha iniciado sesión"],
  "signedOut.expired": ["Your session has ended", "A sua sessão terminou", "Su sesión ha terminado"],
  "signedOut.explained": [
    "Open the address printed by this command again; it carries a new token.",
    "Abra de novo o endereço mostrado por este comando; ele traz um novo token.",
    "Vuelva a abrir la dirección que muestra este comando; lleva un token nuevo.",
  ],
};

/** The words, for one and for several, of units that Intl has no name for. */
const UNITS = {
  message: [["message", "messages"], ["mensagem", "mensagens"], ["mensaje", "mensajes"]],
  number: [["number", "numbers"], ["número", "números"], ["número", "números"]],
  conversation: [
    ["conversation", "conversations"],
    ["conversa", "conversas"],
    ["conversación", "conversaciones"],
  ],
  email: [["email", "emails"], ["e-mail", "e-mails"], ["correo", "correos"]],
  evaluation: [["evaluation", "evaluations"], ["avaliação", "avaliações"], ["evaluación", "evaluaciones"]],
  run: [["run", "runs"], ["execução", "execuções"], ["ejecución", "ejecuciones"]],
  session: [["session", "sessions"], ["sessão", "sessões"], ["sesión", "sesiones"]],
  "thousand characters": [
    ["thousand characters", "thousand characters"],
    ["mil caracteres", "mil caracteres"],
    ["mil caracteres", "mil caracteres"],
  ],
};

/**
 * The texts in the first of the reader's languages that the page speaks: `text(key, values)`,
 * `text.language`, and `text.unit(unit, quantity)` for a unit's word. An unknown key throws RangeError; an
 * unknown unit is told as is.
 */
export function translator(preferred) {
  const languages = preferred.map((tag) => tag.split("-")[0].toLowerCase());
  const language = languages.find((each) => LANGUAGES.includes(each)) ?? LANGUAGES[0];
  const column = LANGUAGES.indexOf(language);
  const plurals = new Intl.PluralRules(language);

  function text(key, values = {}) {
    if (!Object.hasOwn(MESSAGES, key)) {
      throw new RangeError(`no text for ${key}`);
    }
    return MESSAGES[key][column].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  }

  text.language = language;
  text.unit = (unit, quantity) => {
    if (!Object.hasOwn(UNITS, unit)) {
      return unit;
    }
    const [one, several] = UNITS[unit][column];
    return plurals.select(Number(quantity)) === "one" ? one : several;
  };
  return text;
}

/** The locale that numbers and dates are written in: the first of the reader's that Intl knows. */
export function readingLocale(preferred) {
  return preferred.find(isLocale) ?? LANGUAGES[0];
}

function isLocale(tag) {
  try {
    return Intl.NumberFormat.supportedLocalesOf(tag).length > 0;
  } catch {
    return false;
  }
}
