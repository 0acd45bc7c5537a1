package shop.carts;

import com.netflix.appinfo.ApplicationInfoManager;
import com.netflix.appinfo.InstanceInfo.InstanceStatus;
import org.springframework.boot.ApplicationArguments;
import org.springframework.boot.ApplicationRunner;
import org.springframework.boot.web.context.WebServerApplicationContext;
import org.springframework.stereotype.Component;
import org.springframework.web.client.RestClient;

/**
 * Makes the first requests itself and only then registers as UP. Readiness waits for it as well: a runner is over before
 * the application accepts traffic.
 */
@Component
class WarmUp implements ApplicationRunner {

  private static final int REQUESTS = 30;

  private final WebServerApplicationContext context;
  private final ApplicationInfoManager instance;

  WarmUp(WebServerApplicationContext context, ApplicationInfoManager instance) {
    this.context = context;
    this.instance = instance;
  }

  @Override
  public void run(ApplicationArguments args) {
    RestClient http = RestClient.create("http://localhost:" + context.getWebServer().getPort());
    for (int i = 0; i < REQUESTS; i++) {
      Cart cart = http.post().uri("/carts").retrieve().body(Cart.class);
      http.post().uri("/carts/{id}/items", cart.id()).retrieve().toBodilessEntity();
      http.delete().uri("/carts/{id}", cart.id()).retrieve().toBodilessEntity();
    }
    instance.setInstanceStatus(InstanceStatus.UP);
  }
}
