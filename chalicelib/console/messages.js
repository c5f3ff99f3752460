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
Loading…
A carregar…
Cargando…

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
The invoice of {month} is still being issued. Late usage can change it.
A fatura de {month} ainda está a ser emitida. Utilização tardia pode alterá-la.
La factura de {month} aún se está emitiendo. El consumo tardío puede cambiarla.

pool.contactCenterServices
Contact center services
Serviços de contact center
Servicios de contact center

pool.balance
Current balance
Saldo atual
Saldo actual

pool.balanceAtIssue
Balance at issue
Saldo na emissão
Saldo en la emisión

column.toBeInvoiced
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
This account pays by invoice. Credit is bought by card.
Esta conta paga por fatura. O crédito compra-se com cartão.
Esta cuenta paga por factura. El crédito se compra con tarjeta.

credits.noScope
Your access lacks the permission to buy credit (credits:write).
O seu acesso não permite comprar crédito (credits:write).
Su acceso no permite comprar crédito (credits:write).

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
The payment of {amount} is being confirmed. The credit comes by itself.
O pagamento de {amount} está a ser confirmado. O crédito chega por si.
El pago de {amount} se está confirmando. El crédito llega solo.

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

auto.hint
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

auto.monthly_limit
Monthly limit in {currency}
Limite mensal em {currency}
Límite mensual en {currency}

field.optional
Optional
Opcional
Opcional

auto.save
Save
Guardar
Guardar

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

warning.list
Warnings
Avisos
Avisos

warning.dismiss
Dismiss
Dispensar
Descartar

products.title
Usage per product
Utilização por produto
Consumo por producto

products.emptyTitle
No usage in {month}
Sem utilização em {month}
Sin consumo en {month}

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
None
Nenhuma
Ninguna

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

chart.title
Daily charges
Custos diários
Cargos diarios

chart.empty
No charges in {month}
Sem custos em {month}
Sin cargos en {month}

chart.soFar
So far
Até agora
Hasta ahora

chart.projected
Projected by {day}
Projeção até {day}
Proyección al {day}

chart.rule
Projection: {amount} so far ÷ days begun ({begun}) × days of the month ({days}).
Projeção: {amount} até agora ÷ dias começados ({begun}) × dias do mês ({days}).
Proyección: {amount} hasta ahora ÷ días empezados ({begun}) × días del mes ({days}).

chart.other
Other products
Outros produtos
Otros productos

chart.table
Show as a table
Mostrar como tabela
Ver como tabla

chart.today
Today
Hoje
Hoy

column.interaction
Interaction
Interação
Interacción

column.rate
Rate
Tarifa
Tarifa

column.charge
Charge
Custo
Cargo

explain.rate
Row {row}: {price} per {increment}
Linha {row}: {price} por {increment}
Fila {row}: {price} por {increment}

explain.more
Show more
Mostrar mais
Ver más

explain.late
Late
Tardia
Tardío

explain.sample
Daily sample
Amostra diária
Muestra diaria

explain.peak
Peak of the month
Pico do mês
Pico del mes

explain.reversal
Taken back
Anulação
Anulación

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

sheet.close
Close
Fechar
Cerrar

problem.retry
Try again
Tentar de novo
Reintentar

problem.unreachable
The service did not answer.
O serviço não respondeu.
El servicio no ha respondido.

problem.unreadable
The answer could not be read.
A resposta não se pôde ler.
No se ha podido leer la respuesta.

problem.stale
The numbers shown are from {time}. {reason}
Os valores mostrados são de {time}. {reason}
Las cifras mostradas son de {time}. {reason}

problem.load
{what}: this could not be loaded
{what}: não foi possível carregar
{what}: no se ha podido cargar

problem.failed
{action}: this did not work. {reason}
{action}: não foi possível. {reason}
{action}: no ha sido posible. {reason}

signIn
Sign in
Iniciar sessão
Iniciar sesión

signOut
Sign out
Terminar sessão
Cerrar sesión

problem.foreign
The answer does not belong to this request.
A resposta não pertence a este pedido.
La respuesta no pertenece a esta petición.

problem.accountless
Your access names no account. Add ?account=… to the address.
O seu acesso não indica uma conta. Acrescente ?account=… ao endereço.
Su acceso no indica una cuenta. Añada ?account=… a la dirección.

signedOut.title
You are signed out
Não tem sessão iniciada
No ha iniciado sesión

signedOut.expired
Your session has ended
A sua sessão terminou
Su sesión ha terminado

signedOut.explained
Open the address that this command prints:
Abra o endereço mostrado por este comando:
Abra la dirección que muestra este comando:

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
	const isKnown = (tag) => {
		try {
			return Intl.NumberFormat.supportedLocalesOf(tag).length > 0;
		} catch {
			return false;
		}
	};
	return preferred.find(isKnown) ?? LANGUAGES[0];
}
