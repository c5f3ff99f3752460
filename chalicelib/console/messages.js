const LANGUAGES = ["en", "pt", "es"];

/** Every text by its key, in the order of LANGUAGES; `{name}` is a value. A unit has words for one and several. */
const CATALOGUE = `
page.title
Usage
Utilização
Consumo

page.skip
Skip to the usage
Ir para a utilização
Ir al consumo

state.loading
Loading usage…
A carregar a utilização…
Cargando el consumo…

state.updated
Usage of {month} is up to date.
A utilização de {month} está atualizada.
El consumo de {month} está actualizado.

status.open
Open
Em curso
En curso

status.closing
Closing
A fechar
En cierre

status.invoiced
Invoiced
Faturado
Facturado

payment.credit_card
Paid by card
Pagamento por cartão
Pago con tarjeta

payment.invoice
Paid by invoice
Pagamento por fatura
Pago por factura

head.period
Period
Período
Período

head.current
Current
Atual
Actual

head.refresh
Refresh now
Atualizar agora
Actualizar ahora

head.download
Download usage pricing
Transferir preços de utilização
Descargar precios de consumo

download.done
The file was downloaded.
O ficheiro foi transferido.
Se ha descargado el archivo.

download.failed
The file could not be downloaded. {reason}
Não foi possível transferir o ficheiro. {reason}
No se ha podido descargar el archivo. {reason}

report.cost
Cost report
Relatório de custos
Informe de costes

report.transactions
Transactions report
Relatório de transações
Informe de transacciones

head.asOf
Numbers true up to
Valores certos até
Cifras al día hasta

head.lastEvent
last usage
última utilização
último consumo

closing.notice
The invoice of {month} is still being issued. Late usage can still change these numbers.
A fatura de {month} ainda está a ser emitida. Utilização tardia ainda pode alterar estes valores.
La factura de {month} todavía se está emitiendo. El consumo tardío aún puede cambiar estas cifras.

closing.show
Show {month}
Mostrar {month}
Ver {month}

pool.contactCenterServices
Contact center services
Serviços de contact center
Servicios de contact center

pool.explained
Credit shared by the products included in it
Crédito partilhado pelos produtos nele incluídos
Crédito compartido por los productos incluidos en él

pool.balance
Current balance
Saldo atual
Saldo actual

pool.balanceAtIssue
Balance at issue
Saldo na emissão
Saldo en la emisión

pool.toBeInvoiced
To be invoiced
A faturar
Por facturar

balance.creditLeft
credit left
crédito disponível
crédito disponible

balance.toBeInvoiced
to be invoiced
a faturar
por facturar

balance.invoiced
invoiced
faturado
facturado

credits.title
Credit left by kind
Crédito disponível por tipo
Crédito disponible por tipo

credits.committed
Committed
Contratado
Comprometido

credits.purchased
Purchased
Comprado
Comprado

credits.promotional
Promotional
Promocional
Promocional

credits.manage
Manage credits
Gerir créditos
Gestionar créditos

credits.byInvoice
This account pays by invoice. Credit is sold to accounts that pay by card.
Esta conta paga por fatura. O crédito vende-se a contas que pagam com cartão.
Esta cuenta paga por factura. El crédito se vende a cuentas que pagan con tarjeta.

credits.noScope
Your access lacks the permission to buy credit (credits:write).
O seu acesso não inclui a permissão de comprar crédito (credits:write).
Su acceso no incluye el permiso de comprar crédito (credits:write).

field.amount
Amount in {currency}
Montante em {currency}
Importe en {currency}

field.invalid
Enter an amount, such as {example}.
Indique um montante, como {example}.
Indique un importe, como {example}.

purchase.title
One-time purchase
Compra única
Compra única

purchase.least
At least {amount}
No mínimo {amount}
Como mínimo {amount}

purchase.buy
Buy credit
Comprar crédito
Comprar crédito

purchase.buyFor
Buy {amount} of credit
Comprar {amount} de crédito
Comprar {amount} de crédito

purchase.running
Paying…
A pagar…
Pagando…

purchase.succeeded
You bought {amount} of credit. New balance: {balance}
Comprou {amount} de crédito. Novo saldo: {balance}
Ha comprado {amount} de crédito. Saldo nuevo: {balance}

purchase.pending
The payment of {amount} is being confirmed. The credit then comes by itself.
O pagamento de {amount} está a ser confirmado. Depois o crédito chega por si.
El pago de {amount} se está confirmando. Después el crédito llega solo.

purchase.declined
The card was declined. Nothing was bought. {reason}
O cartão foi recusado. Nada foi comprado. {reason}
Tarjeta rechazada. No se ha comprado nada. {reason}

purchase.unknown
The outcome is not known. Trying again buys only once. {reason}
Resultado desconhecido. Tentar de novo compra só uma vez. {reason}
Resultado desconocido. Reintentar compra una sola vez. {reason}

purchase.failed
Nothing was bought. {reason}
Nada foi comprado. {reason}
No se ha comprado nada. {reason}

auto.title
Auto recharge
Recarga automática
Recarga automática

auto.off
Auto recharge is off.
A recarga automática está desligada.
La recarga automática está apagada.

auto.active
Auto recharge is on.
A recarga automática está ligada.
La recarga automática está activa.

auto.failures.active
Payments declined in a row: {failures}. The next try comes by itself.
Pagamentos recusados seguidos: {failures}. Haverá nova tentativa.
Pagos rechazados seguidos: {failures}. Habrá otro intento.

auto.failures.disabled_after_failures
Auto recharge was switched off: {failures} payments were declined. Check the card.
A recarga automática desligou-se: {failures} pagamentos recusados. Verifique o cartão.
La recarga automática se apagó: {failures} pagos rechazados. Revise la tarjeta.

auto.spent
Spent this month: {amount}
Gasto este mês: {amount}
Gastado este mes: {amount}

auto.threshold
Threshold in {currency}
Limiar em {currency}
Umbral en {currency}

auto.thresholdHint
Recharged when the balance falls below it
Recarrega quando o saldo desce abaixo dele
Se recarga cuando el saldo baja de él

auto.tooHigh
Must be below the current balance.
Deve ser inferior ao saldo atual.
Debe ser inferior al saldo actual.

auto.amount
Recharge amount in {currency}
Recarga em {currency}
Recarga en {currency}

auto.amountHint
Or as many times as it takes
Ou tantas vezes quantas for preciso
O tantas veces como haga falta

auto.monthly_limit
Monthly limit in {currency}
Limite mensal em {currency}
Límite mensual en {currency}

auto.monthly_limitHint
Optional
Opcional
Opcional

auto.save
Save
Guardar
Guardar

auto.notSaved
Not saved. {reason}
Não guardado. {reason}
No guardado. {reason}

column.commit
Committed credit
Crédito contratado
Crédito comprometido

column.commitPeriod
Committed credit period
Período do crédito contratado
Período del crédito comprometido

commit.notPurchased
Not purchased
Não contratado
No contratado

commit.notAvailable
Not available
Não disponível
No disponible

commit.notAvailableShort
N/A
N/D
N/D

frequency.monthly
monthly
mensal
mensual

frequency.quarterly
quarterly
trimestral
trimestral

frequency.semiannual
every six months
semestral
semestral

frequency.annual
annual
anual
anual

recharge.last
Last
Última
Última

recharge.next
Next
Próxima
Próxima

recharge.none
none
nenhuma
ninguna

warning.list
Warnings
Avisos
Avisos

warning.dismiss
Dismiss
Dispensar
Descartar

warning.dismissNamed
Dismiss: {message}
Dispensar: {message}
Descartar: {message}

warning.notDismissed
The warning could not be dismissed. {reason}
Não foi possível dispensar o aviso. {reason}
No se ha podido descartar el aviso. {reason}

products.title
Usage per product
Utilização por produto
Consumo por producto

products.emptyTitle
No usage in {month}
Sem utilização em {month}
Sin consumo en {month}

products.empty
A product appears here as soon as it is used.
Um produto aparece aqui assim que for utilizado.
Un producto aparece aquí en cuanto se use.

column.product
Product
Produto
Producto

column.quantity
Quantity
Quantidade
Cantidad

column.freeUnits
Free units
Unidades grátis
Unidades gratuitas

column.amount
Total usage
Utilização total
Consumo total

column.balance
Balance
Saldo
Saldo

column.freeUnitsUsed
Free units used
Unidades grátis usadas
Unidades gratuitas usadas

column.creditsApplied
Paid by credit
Pago com crédito
Pagado con crédito

quantity.billed
{quantity} billed
{quantity} faturáveis
{quantity} facturables

quantity.peak
peak on {day}
pico em {day}
pico el {day}

freeUnits.none
None included
Nenhuma incluída
Ninguna incluida

freeUnits.of
Free units of {product}
Unidades grátis de {product}
Unidades gratuitas de {product}

freeUnits.left
{remaining} of {included} left
restam {remaining} de {included}
quedan {remaining} de {included}

freeUnits.exhausted
All of {included} used
{included} esgotadas
{included} agotadas

amount.fromCredit
{amount} from credit
{amount} do crédito
{amount} del crédito

invoices.title
Invoices
Faturas
Facturas

invoices.older
Show older invoices
Mostrar faturas mais antigas
Ver facturas más antiguas

invoice.title
Invoice of {month}
Fatura de {month}
Factura de {month}

invoice.total
Total
Total
Total

invoice.upcoming
Upcoming
Próxima
Próxima

invoice.due
To be issued
A emitir
Se emitirá

invoice.issued
Issued
Emissão
Emisión

invoice.number
Invoice
Fatura
Factura

invoice.showUsage
Show the usage of {month}
Mostrar a utilização de {month}
Ver el consumo de {month}

sheet.close
Close
Fechar
Cerrar

problem.retry
Try again
Tentar de novo
Reintentar

problem.request
request {id}
pedido {id}
petición {id}

problem.unreachable
The service did not answer. Check the connection.
O serviço não respondeu. Verifique a ligação.
El servicio no ha respondido. Compruebe la conexión.

problem.unreadable
The service's answer could not be read.
Não foi possível ler a resposta do serviço.
No se ha podido leer la respuesta del servicio.

problem.stale
The numbers shown are from {time}. {reason}
Os valores mostrados são de {time}. {reason}
Las cifras mostradas son de {time}. {reason}

problem.usage
The usage could not be loaded
Não foi possível carregar a utilização
No se ha podido cargar el consumo

problem.invoices
The invoices could not be loaded
Não foi possível carregar as faturas
No se han podido cargar las facturas

problem.credits
Credits could not be loaded
Não foi possível carregar os créditos
No se han podido cargar los créditos

problem.status
The service answered with status {status}.
O serviço respondeu com o estado {status}.
El servicio ha respondido con el estado {status}.

signedOut.title
You are signed out
Não tem sessão iniciada
No ha iniciado sesión

signedOut.expired
Your session has ended
A sua sessão terminou
Su sesión ha terminado

signedOut.explained
Open the address printed by this command again; it carries a new token.
Abra de novo o endereço mostrado por este comando; ele traz um novo token.
Vuelva a abrir la dirección que muestra este comando; lleva un token nuevo.

unit.message
message / messages
mensagem / mensagens
mensaje / mensajes

unit.number
number / numbers
número / números
número / números

unit.conversation
conversation / conversations
conversa / conversas
conversación / conversaciones

unit.email
email / emails
e-mail / e-mails
correo / correos

unit.evaluation
evaluation / evaluations
avaliação / avaliações
evaluación / evaluaciones

unit.run
run / runs
execução / execuções
ejecución / ejecuciones

unit.session
session / sessions
sessão / sessões
sesión / sesiones

unit.thousand characters
thousand characters / thousand characters
mil caracteres / mil caracteres
mil caracteres / mil caracteres
`;

/**
 * The texts in the first of the reader's languages that the page speaks: `text(key, values)`, `text.language`,
 * and `text.unit(unit, quantity)` for a unit's word. An unknown unit is told as is.
 */
export function translator(preferred) {
  const languages = preferred.map((tag) => tag.split("-")[0].toLowerCase());
  const language = languages.find((each) => LANGUAGES.includes(each)) ?? LANGUAGES[0];
  const column = LANGUAGES.indexOf(language) + 1;
  const entries = CATALOGUE.trim().split("\n\n").map((entry) => entry.split("\n"));
  const texts = new Map(entries.map((lines) => [lines[0], lines[column]]));
  const plurals = new Intl.PluralRules(language);

  function text(key, values = {}) {
    if (!texts.has(key)) {
      throw new RangeError(`no text for ${key}`);
    }
    return texts.get(key).replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  }

  text.language = language;
  text.unit = (unit, quantity) => {
    const [one, several] = texts.get(`unit.${unit}`)?.split(" / ") ?? [unit, unit];
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
